from email import message_from_bytes, policy
from email.message import EmailMessage


def main(args):
    message = EmailMessage()
    message["To"] = args["to"]
    message["Subject"] = "Report ✓"
    message.set_content(args["text"])
    message.add_attachment(b"\x00\x01", maintype="application", subtype="x-raw", filename="r.bin")
    again = message_from_bytes(bytes(message), policy=policy.default)
    return {
        "subject": again["subject"],
        "to": again["to"].addresses[0].display_name,
        "text": again.get_body().get_content().strip(),
        "files": [part.get_filename() for part in again.iter_attachments()],
    }
