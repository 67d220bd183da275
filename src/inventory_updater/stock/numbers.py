"""Quantities and money: exact decimals within what a DynamoDB number holds.

38 digits, 1E-130 to 9.99E+125, never rounded.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

import re
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, Subnormal

NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow, Subnormal])
"""The one context for quantities and money: what needs more than 38 digits raises instead of being rounded."""

EXACT = Context(prec=1_000, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow, Subnormal])
"""For what is told and never stored: sums and products of numbers that DynamoDB holds, exact however long they are."""

ZERO = Decimal(0)

_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)


def parse_number(text: str) -> Decimal:
    """A number in plain notation (no exponent), within what DynamoDB can hold.

    Raises:
        ValueError: saying what is wrong.
    """
    if not _PLAIN_NUMBER.fullmatch(text):
        raise ValueError("is not a number in plain notation")
    try:
        # Not NUMBERS.create_decimal: trailing zeros beyond 38 digits are no loss. A zero has neither sign nor exponent.
        return NUMBERS.plus(Decimal(text)) or ZERO
    except (Inexact, Overflow, Subnormal):
        raise ValueError("needs more than 38 digits, or is too large or too small for DynamoDB") from None


def plain(number: Decimal) -> str:
    """``number`` in plain notation, without an exponent."""
    return format(number, "f")


def counted(number: int, noun: str) -> str:
    """`1 change`, `2 changes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
