// Validates IBANs. It speaks ActionLoop by itself, for any image with the proxy.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"math/big"
	"os"
	"strings"
)

var lengths = map[string]int{"AT": 20, "CH": 21, "DE": 22, "FR": 27, "GB": 22, "NL": 18}

type request struct {
	Value struct {
		Accounts []string `json:"accounts"`
	} `json:"value"`
	ActivationID string `json:"activation_id"`
}

type verdict struct {
	IBAN    string `json:"iban"`
	Valid   bool   `json:"valid"`
	Problem string `json:"problem,omitempty"`
}

func check(text string) (v verdict) {
	v.IBAN = strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	if len(v.IBAN) < 5 {
		v.Problem = "too short"
		return
	}
	want, known := lengths[v.IBAN[:2]]
	if !known {
		v.Problem = "unknown country"
		return
	}
	if len(v.IBAN) != want {
		v.Problem = fmt.Sprintf("%d characters, expected %d", len(v.IBAN), want)
		return
	}
	var digits strings.Builder
	for _, r := range v.IBAN[4:] + v.IBAN[:4] {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case r >= 'A' && r <= 'Z':
			fmt.Fprintf(&digits, "%d", r-'A'+10)
		default:
			v.Problem = fmt.Sprintf("%q in it", r)
			return
		}
	}
	number, _ := new(big.Int).SetString(digits.String(), 10)
	v.Valid = new(big.Int).Mod(number, big.NewInt(97)).Int64() == 1
	if !v.Valid {
		v.Problem = "wrong check digits"
	}
	return
}

func main() {
	log.SetFlags(0)
	out := bufio.NewWriter(os.NewFile(3, "result"))
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	if os.Getenv("__OW_WAIT_FOR_ACK") != "" {
		answers.Encode(map[string]bool{"ok": true})
		out.Flush()
	}
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			if wrong, ok := err.(*json.UnmarshalTypeError); ok {
				log.Println("bad request:", wrong.Value, "instead of", wrong.Type)
			}
			answers.Encode(map[string]string{"error": "accounts must be a list of strings"})
		} else {
			verdicts := make([]verdict, len(r.Value.Accounts))
			for i, account := range r.Value.Accounts {
				verdicts[i] = check(account)
			}
			fmt.Println(len(verdicts), "checked")
			answers.Encode(verdicts)
		}
		out.Flush()
	}
}
