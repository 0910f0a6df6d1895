# What this action needs of JSON.
exec {result}>&3

ready() {
  if [[ -n ${__OW_WAIT_FOR_ACK-} ]]; then
    echo '{"ok":true}' >&"$result"
  fi
}

answer() { printf '%s\n' "$1" >&"$result"; }
string() { sed -nE 's/.*"'"$1"'":"([^"]*)".*/\1/p' <<<"$2"; }
number() { sed -nE 's/.*"'"$1"'":([0-9]+)[,}].*/\1/p' <<<"$2"; }
euros() { printf '%d.%02d' "$(($1 / 100))" "$(($1 % 100))"; }

quoted() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}
