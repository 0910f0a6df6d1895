import base64
import binascii
import io
import os

from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

with open(os.path.join(os.path.dirname(__file__), "watermark.txt"), encoding="utf-8") as f:
    WATERMARK = f.read().strip()


def reply(status, message):
    return {"statusCode": status, "headers": {"Content-Type": "text/plain"}, "body": message}


def main(args):
    if args.get("__ow_method") != "post":
        return reply(405, "post an image")
    if not args.get("__ow_headers", {}).get("content-type", "").startswith("image/"):
        return reply(415, "expected an image")
    try:
        width = int(args.get("width", 32))
        image = Image.open(io.BytesIO(base64.b64decode(args.get("__ow_body", ""), validate=True)))
        image.load()
    except (binascii.Error, UnidentifiedImageError) as e:
        print("refused:", type(e).__name__)
        return reply(400, "that is no image")
    except ValueError:
        return reply(400, "width must be a number")

    print(image.format, image.mode, "%dx%d" % image.size)
    image = ImageOps.exif_transpose(image).convert("RGB")
    image.thumbnail((width, width), Image.Resampling.LANCZOS)
    if image.width >= 24:
        ImageDraw.Draw(image).text((1, 1), WATERMARK, fill=(255, 255, 255))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return {
        "statusCode": 200,
        "headers": {
            "Content-Type": "image/jpeg",
            "Content-Disposition": 'inline; filename="thumbnail.jpg"',
            "X-Size": "%dx%d" % image.size,
        },
        "body": base64.b64encode(out.getvalue()).decode("ascii"),
    }
