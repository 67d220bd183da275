"""What DynamoDB can hold, for tests that draw it at random."""

from decimal import Context, Decimal
from typing import Final

from boto3.dynamodb.types import Binary
from hypothesis import strategies as st

_DIGITS: Final = Context(prec=38)

texts: Final = st.text(st.characters(codec="utf-8"), max_size=12)
"""Any text, quotes, control characters and the like included; DynamoDB holds empty text too."""

numbers: Final = st.builds(
    lambda sign, digits, magnitude: Decimal((sign, digits, magnitude - len(digits) + 1)),
    st.sampled_from([0, 1]),
    st.lists(st.integers(0, 9), min_size=0, max_size=37).map(lambda rest: (1, *rest)),
    st.one_of(st.integers(-6, 12), st.integers(-130, 125)),
) | st.just(Decimal(0))
"""Any number of at most 38 digits within DynamoDB's range; mostly of the size of a quantity."""

binaries: Final = st.binary(max_size=8).map(Binary)

dynamodb_values: Final[st.SearchStrategy[object]] = st.recursive(
    st.one_of(
        texts,
        numbers,
        binaries,
        st.booleans(),
        st.none(),
        st.sets(texts, min_size=1, max_size=3),
        st.sets(numbers, min_size=1, max_size=3),
        st.sets(binaries, min_size=1, max_size=3),
    ),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=6,
)
"""A value of any of the ten types, as Python holds it."""
