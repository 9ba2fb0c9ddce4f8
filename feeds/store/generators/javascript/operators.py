"""Values of numbers, elements and operators of JavaScript, as far as their operands are known."""

from __future__ import annotations

from ..literals import UNKNOWN, Unknown, Value, join_text, lookup


def number(text: str) -> Value:
    """Return the number that a token writes."""
    digits = text.replace("_", "").removesuffix("n")
    try:
        return int(digits, 0) if digits.isdigit() or digits[:2].lower() in ("0x", "0b", "0o") else float(digits)
    except ValueError:  # 08, or more digits than Python turns into a number
        return UNKNOWN


def element(found: Value, key: Value) -> Value:
    """Return `found[key]`."""
    if isinstance(found, list) and isinstance(key, int) and not isinstance(key, bool):
        return found[key] if 0 <= key < len(found) else UNKNOWN
    inner = lookup(found, key) if isinstance(key, str) else UNKNOWN
    return UNKNOWN if inner is None else inner


def operate(sign: str, first: Value, second: Value) -> Value:
    """Return `first sign second`."""
    if sign == "+":
        return join_text(first, second)
    if sign in ("||", "??"):
        kept = first is not None if sign == "??" else bool(first)
        return first if kept and not isinstance(first, Unknown) else second
    if isinstance(first, Unknown):
        return UNKNOWN
    if sign == "&&":
        return second if first else first
    if isinstance(second, Unknown):
        return UNKNOWN
    return (first == second) == (sign in ("===", "=="))
