import base64
import io
import os
import tempfile
import zipfile


def main(args):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in args["files"].items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name in sorted(os.listdir(folder)):
                member = zipfile.ZipInfo(name)
                with open(os.path.join(folder, name), "rb") as f:
                    archive.writestr(member, f.read())
    return {"body": base64.b64encode(out.getvalue()).decode(), "gone": not os.path.exists(folder)}
