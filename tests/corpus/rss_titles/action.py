from email.utils import parsedate_to_datetime
from xml.etree import ElementTree


def main(args):
    root = ElementTree.fromstring(args["xml"])
    return {
        "items": [
            {
                "title": item.findtext("title"),
                "date": parsedate_to_datetime(item.findtext("pubDate")).isoformat(),
                "tags": [tag.text for tag in item.findall("m:tag", {"m": "urn:m"})],
            }
            for item in root.iter("item")
        ]
    }
