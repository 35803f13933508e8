"""Figures as a reader of the page's language writes them."""

from __future__ import annotations

from functools import lru_cache

from babel.numbers import format_decimal, format_percent

from core.locales import spaced


def percent(share: float, language: str) -> str:
    """Return a probability, 0 to 1, as whole percent; never a rounded 0 or 100 that it is not."""
    if 0 < share < 0.005:
        return "< " + format_percent(0.01, locale=language)
    if 0.995 <= share < 1:
        return "> " + format_percent(0.99, locale=language)
    return format_percent(share, locale=language)


@lru_cache(maxsize=4096)
def decimal(value: float, language: str, digits: int = 1) -> str:
    """Return a number with a fixed count of decimals."""
    return format_decimal(round(value, digits), "#,##0." + "0" * digits if digits else "#,##0",
                          locale=language)


def hundredths(share: float, language: str, digits: int = 1) -> str:
    """Return a share, 0 to 1, in per cent with a fixed count of decimals."""
    return spaced(f"{decimal(100 * share, language, digits)}%", language)


def milliseconds(value: float, language: str, digits: int = 1) -> str:
    """Return a duration given in milliseconds, in microseconds below a tenth of one."""
    small = value < 0.1
    return f"{decimal(value * (1e3 if small else 1), language, digits)}\N{NO-BREAK SPACE}{'µs' if small else 'ms'}"


def megabytes(size: float, language: str, digits: int = 1) -> str:
    """Return a count of bytes in megabytes (10^6 bytes), kilobytes below one."""
    small = size < 1e6
    unit = ("kB" if small else "MB") if language != "fr" else ("ko" if small else "Mo")
    return f"{decimal(size / (1e3 if small else 1e6), language, digits)}\N{NO-BREAK SPACE}{unit}"


def p_value(p: float, language: str) -> str:
    """Return the p of a test to three decimals; never a rounded 0 that it is not."""
    return f"< {decimal(0.001, language, 3)}" if p < 0.001 else decimal(p, language, 3)
