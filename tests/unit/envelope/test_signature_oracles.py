"""The table against other engines holds, and each planted fault turns it red."""

import pytest

from tests.oracles import signature
from tests.oracles.xmldsig_engines import ENGINES, SHAPES

FEW = (SHAPES[0], next(shape for shape in SHAPES if shape.policy.digest_methods != SHAPES[0].policy.digest_methods))


def test_the_table_holds_and_is_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert signature.main() == 0, capsys.readouterr().out


def test_python_xmlsec_has_no_empty_cell_for_the_shapes_of_ebms_that_we_write() -> None:
    table = signature.run(tuple(shape for shape in SHAPES if shape.ours and not shape.document)[:2])
    assert all(isinstance(cell, int) for (_, engine, _), cell in table.cells.items() if engine == "python-xmlsec")


@pytest.mark.parametrize("name", signature.SABOTAGES)
def test_a_planted_fault_turns_the_table_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "ENGINES", ENGINES[:1])
    with signature.sabotage(name):
        assert signature.run(FEW).faults
    assert not signature.run(FEW[:1]).faults
