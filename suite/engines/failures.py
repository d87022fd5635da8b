"""The failures of a task that would be the same at every try, because its code is wrong."""

from __future__ import annotations

import re

ALWAYS_THE_SAME = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
    ValueError,
)
"""What wrong code raises. A lack of memory, of a file or of an answer is none of them."""
_OF_TENSORS = re.compile(
    r"\b(shapes?|sizes?|dimensions?|dtypes?|scalar type|same device|requires? grad|backward)\b", re.I
)
"""What torch says of tensors that do not fit each other, for which it has no type of error."""


def is_final(error: BaseException) -> bool:
    """Tell whether a task would fail with the same error if it was tried again."""
    of_tensors = type(error) is RuntimeError and _OF_TENSORS.search(str(error)) and "memory" not in str(error)
    return isinstance(error, ALWAYS_THE_SAME) or bool(of_tensors)
