#!/usr/bin/env python3
"""Renders lines of text as images for a text recogniser: calibration data made from a font.

  render_text.py --out DIR --count 48 --seed 1 --font FILE.ttf [--font …] [--height 48 --width 320]

Each image is HEIGHT x WIDTH: dark text on a light, slightly uneven ground, the rest of the width
filled with mid grey, as text recognisers pad. The same arguments give the same pictures. Needs
Pillow (Debian: python3-pil).
"""
import argparse
import os
import random

from PIL import Image, ImageDraw, ImageFilter, ImageFont

WORDS = (
    "invoice total amount date number street garden window morning river station ticket price "
    "menu coffee water bread orange summer winter paper letter report table engine model battery "
    "signal weight layer kernel memory thread vector matrix sample signal filter market museum "
    "bridge castle forest island harbour train flight gate platform exit entrance open closed "
    "north south east west left right fast slow quiet bright silver golden"
).split()


def line(rng):
    kind = rng.random()
    if kind < 0.2:
        return f"{rng.randint(1, 31):02d}.{rng.randint(1, 12):02d}.{rng.randint(1990, 2035)}"
    if kind < 0.35:
        return f"{rng.randint(0, 9999)},{rng.randint(0, 99):02d} EUR"
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.4:
        words = [w.capitalize() for w in words]
    if rng.random() < 0.2:
        words = [w.upper() for w in words]
    return " ".join(words) + rng.choice(["", "", ".", "!", " 7", " 42", " No. 5"])


def render(rng, fonts, height, width):
    ground = rng.randint(190, 255)
    ink = rng.randint(0, 90)
    font = ImageFont.truetype(rng.choice(fonts), rng.randint(int(height * 0.55), int(height * 0.8)))
    text = line(rng)
    left, top, right, bottom = font.getbbox(text)
    margin = rng.randint(2, 8)
    picture = Image.new("RGB", (right - left + 2 * margin, height), (ground, ground, min(255, ground + rng.randint(0, 8))))
    draw = ImageDraw.Draw(picture)
    y = (height - (bottom - top)) // 2 - top + rng.randint(-2, 2)
    draw.text((margin - left, y), text, fill=(ink, ink, ink), font=font)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9)))
    if picture.width > width:
        picture = picture.resize((width, height), Image.BILINEAR)
    page = Image.new("RGB", (width, height), (128, 128, 128))
    page.paste(picture, (0, 0))
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--font", action="append", required=True)
    parser.add_argument("--height", type=int, default=48)
    parser.add_argument("--width", type=int, default=320)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    os.makedirs(options.out, exist_ok=True)
    for i in range(options.count):
        render(rng, options.font, options.height, options.width).save(os.path.join(options.out, f"{i:04d}.png"))


if __name__ == "__main__":
    main()
