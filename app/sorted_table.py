"""What tables share that their headings sort."""

from pathlib import Path

HERE = Path(__file__).parent
SCRIPT = HERE / "sorted_table.js"
"""A part of the script of such a table: headings, which clicks count."""
STYLE = (HERE / "sorted_table.css").read_text(encoding="utf-8")
"""To be put before the style of one of numbers, in a frame that scrolls."""
