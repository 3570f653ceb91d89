"""A small chart as SVG: how figures grow from one size to the next."""

from __future__ import annotations

from itertools import cycle

WIDTH, HEIGHT, LEFT, TOP, RIGHT = 720, 300, 48, 20, 250
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
"""Told apart by who sees few colours, too (Okabe and Ito)."""


def drawn(sizes: list[str], lines: dict[str, list[float]]) -> str:
    """Lines of factors over sizes, each starting at 1."""
    most = max(2.0, *(factor for line in lines.values() for factor in line)) * 1.05
    right, bottom = WIDTH - RIGHT, HEIGHT - 30
    step = (right - LEFT) / max(1, len(sizes) - 1)

    def x(at: int) -> str:
        return f"{LEFT + at * step:.1f}"

    def y(factor: float) -> str:
        return f"{bottom - (bottom - TOP) * factor / most:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for factor in (0.0, 1.0, 1.3, 2.0):
        dash = ' stroke-dasharray="4 3"' if factor == 1.3 else ""
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y(factor)}" y2="{y(factor)}" '
            f'stroke="#ccc"{dash}/><text x="{LEFT - 6}" y="{y(factor)}" dy="4" '
            f'text-anchor="end">{factor:g}x</text>'
        )
    parts += [
        f'<text x="{x(at)}" y="{bottom + 18}" text-anchor="middle">{size}</text>'
        for at, size in enumerate(sizes)
    ]
    for at, ((name, line), colour) in enumerate(zip(lines.items(), cycle(COLOURS), strict=False)):
        points = " ".join(f"{x(each)},{y(factor)}" for each, factor in enumerate(line))
        legend = TOP + 12 + at * 20
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<line x1="{right + 16}" x2="{right + 36}" y1="{legend - 4}" y2="{legend - 4}" '
            f'stroke="{colour}" stroke-width="3"/>'
            f'<text x="{right + 42}" y="{legend}">{name}, {line[-1]:.2f}x</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
