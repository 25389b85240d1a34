"""A run as a picture: one SVG with a panel for each thing that must not grow, and the faults as marks below."""

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from tests.soak.watch import MB, Sample

_WIDE, _HIGH, _LEFT, _TOP, _GAP = 900, 130, 70, 40, 46
_PANELS: tuple[tuple[str, Callable[[Sample], float]], ...] = (
    ("memory, MB", lambda sample: sample.memory / MB),
    ("handles", lambda sample: sample.handles),
    ("threads", lambda sample: sample.threads),
    ("log of the store, MB", lambda sample: sample.log / MB),
)


def picture(title: str, samples: Sequence[Sample], faults: Sequence[tuple[float, str]]) -> str:
    """Return the SVG. A line breaks where the process was another one."""
    end = max((sample.at for sample in samples), default=1.0)
    parts = [_text(_LEFT, 22, title, 15)]
    for number, (name, value) in enumerate(_PANELS):
        top = _TOP + number * (_HIGH + _GAP)
        most = max((value(sample) for sample in samples), default=1.0) * 1.1 or 1.0
        parts.append(_text(_LEFT, top + 10, f"{name}; top of the panel {most:.1f}", 11))
        parts.append(f'<rect x="{_LEFT}" y="{top + 16}" width="{_WIDE}" height="{_HIGH}" fill="none" stroke="#999"/>')
        half = _LEFT + _WIDE / 2
        parts.append(f'<line x1="{half}" x2="{half}" y1="{top + 16}" y2="{top + 16 + _HIGH}" stroke="#ccc"/>')
        for line in _lines(samples):
            points = " ".join(
                f"{_LEFT + each.at / end * _WIDE:.1f},{top + 16 + _HIGH * (1 - value(each) / most):.1f}"
                for each in line
            )
            parts.append(f'<polyline points="{points}" fill="none" stroke="#0b5394" stroke-width="1.2"/>')
        for at, _ in faults:
            x = _LEFT + at / end * _WIDE
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 16 + _HIGH}" y2="{top + 22 + _HIGH}" stroke="#c00"/>'
            )
    told = _TOP + len(_PANELS) * (_HIGH + _GAP)
    parts += [_text(_LEFT, told + 14 * n, f"{at:.0f} s: {name}", 10) for n, (at, name) in enumerate(faults)]
    high = told + 14 * len(faults) + 20
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDE + 30}" height="{high}">\n{body}\n</svg>\n'


def _lines(samples: Sequence[Sample]) -> list[list[Sample]]:
    lines: list[list[Sample]] = []
    for sample in samples:
        if not lines or lines[-1][-1].pid != sample.pid:
            lines.append([])
        lines[-1].append(sample)
    return lines


def _text(x: float, y: float, text: str, size: int) -> str:
    return f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="{size}">{escape(text)}</text>'
