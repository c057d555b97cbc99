"""What a page of facefit's viewer carries."""

import json
import re


def about(page: bytes) -> dict:
    """The JSON of a page."""
    (text,) = re.findall(rb'<script type="application/json" id="about">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)
