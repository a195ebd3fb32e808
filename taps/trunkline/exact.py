"""JSON in which every number keeps its value."""

from __future__ import annotations

from decimal import Decimal

import msgspec

BROKEN = (msgspec.MsgspecError, RecursionError, ValueError, ArithmeticError)
"""Errors of `decode`: a text that is no JSON or no UTF-8, nested too deeply, or with a number beyond all bounds."""

decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decode JSON so that every number keeps its value: integers of any size, decimals with all their digits."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Encode JSON so that a decimal is written as the number it is."""
