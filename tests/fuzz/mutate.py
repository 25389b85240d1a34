"""Mutations that know what they mutate: whole inputs cut, joined, doubled, and filled with words of their trade."""

from collections.abc import Sequence

from hypothesis import strategies as st

_PLACE = st.floats(0.0, 1.0, exclude_max=True)  # shrinks to the start, whatever the size
_LENGTH = st.integers(1, 64)


def mutants(whole: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy for inputs that are mostly right: seeds with up to eight changes, or two seeds joined."""
    piece = st.one_of(st.sampled_from(words), st.binary(max_size=8), st.integers(1, 3000).map(lambda n: b"A" * n))
    change = st.one_of(
        st.tuples(st.just("put"), _PLACE, _LENGTH, piece),
        st.tuples(st.just("replace"), _PLACE, _LENGTH, piece),
        st.tuples(st.just("cut"), _PLACE, _LENGTH, st.just(b"")),
        st.tuples(st.just("double"), _PLACE, st.integers(1, 2000), st.just(b"")),
        st.tuples(st.just("flip"), _PLACE, st.integers(0, 7), st.just(b"")),
        st.tuples(st.just("end"), _PLACE, _LENGTH, st.just(b"")),
        st.tuples(st.just("repeat"), _PLACE, st.integers(1, 300), piece),
    )
    joined = st.tuples(st.sampled_from(whole), _PLACE, st.sampled_from(whole)).map(
        lambda drawn: drawn[0][: int(drawn[1] * len(drawn[0]))] + drawn[2][int(drawn[1] * len(drawn[2])) :]
    )
    start = st.one_of(st.sampled_from(whole), joined)
    return st.builds(_changed, start, st.lists(change, min_size=1, max_size=8))


def _changed(data: bytes, changes: Sequence[tuple[str, float, int, bytes]]) -> bytes:
    for kind, place, size, piece in changes:
        at = int(place * len(data))
        match kind:
            case "put":
                data = data[:at] + piece + data[at:]
            case "replace":
                data = data[:at] + piece + data[at + size :]
            case "cut":
                data = data[:at] + data[at + size :]
            case "double":
                data = data[: at + size] + data[at : at + size] + data[at + size :]
            case "flip" if data:
                data = data[:at] + bytes((data[at] ^ 1 << size,)) + data[at + 1 :]
            case "end":
                data = data[:at]
            case "repeat":
                data = data[:at] + piece * size + data[at:]
    return data
