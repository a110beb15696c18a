"""RESULTS.md: a part for each work, which a run replaces when it has measured it anew, and leaves alone when it has not."""

import re


def parts(text):
    """The parts of a file by their titles."""
    found = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return {title.strip(): body.strip() for title, body in zip(found[1::2], found[2::2])}


def write(path, head, titles, found):
    """What was `found` of what the `titles` name, and what is there already of the rest. What no run finds any more goes."""
    kept = parts(path.read_text()) if path.exists() else {}
    known = kept | {title: text.strip() for title, text in found.items()}
    told = [f"## {title}\n\n{known[title]}\n" for title in titles if title in known]
    path.write_text("\n".join([head, *told]))
