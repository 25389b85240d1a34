"""The party profiles that come with the broker, and what a file of them may say."""

import re
import tomllib
from dataclasses import fields

import pytest

from broker.errors import Misconfigured
from broker.lookup.profile_files import shipped_profiles
from broker.lookup.shipped import shipped
from broker.routing.profile import DEFAULT, Profile, read_profile

FOLDER = shipped("profiles")
README = (FOLDER / "README.md").read_text("utf-8")
KEYS = [field.name for field in fields(Profile)]
FULL = """
name = "x"
title = "X"
root_encoding = "base64"

[source]
root_encoding = "seen"
"""


def test_the_readme_has_a_line_for_every_key_and_every_file_in_order() -> None:
    keys, files = README.split("| File | Engine |")
    assert re.findall(r"^\| `(\w+)` \|", keys, re.MULTILINE) == KEYS
    assert re.findall(r"^\| `([\w-]+)` \| (.*) \|$", files, re.MULTILINE) == [
        (name, profile.title) for name, profile in sorted(shipped_profiles().items())
    ]


def test_the_engines_of_the_field_have_one_each_under_the_name_of_their_file() -> None:
    assert set(shipped_profiles()) == {"ebms-core", "hermes", "his1037", "nav", "nhn", "nhs"}
    assert set(shipped_profiles()) == {path.stem for path in FOLDER.glob("*.toml")}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_file_says_only_what_differs_and_where_that_is_known_from(path: object) -> None:
    assert hasattr(path, "read_text")
    said = tomllib.loads(path.read_text("utf-8"))
    profile = shipped_profiles()[said["name"]]
    differ = {key for key in KEYS if getattr(profile, key) != getattr(DEFAULT, key)} - {"name", "title"}
    assert differ == said.keys() - {"name", "title", "source"}
    assert said["source"].keys() == differ
    assert all(len(source) > 40 for source in said["source"].values())


def test_every_key_is_needed_by_some_engine() -> None:
    needed = {
        key for profile in shipped_profiles().values() for key in KEYS if getattr(profile, key) != getattr(DEFAULT, key)
    }
    assert needed == set(KEYS)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"base64"', '"quoted-printable"', "root_encoding"),
        ('root_encoding = "seen"', "", "source.root_encoding"),
        ("root_encoding = ", "rot_encoding = ", "rot_encoding"),
        ('name = "x"', "", "name"),
        ('title = "X"', 'title = "X"\nactor = "no"', "actor"),
        ('title = "X"', 'title = "X"\nactor = false', "source.actor"),
    ],
)
def test_a_file_that_says_what_no_profile_may_is_named_with_the_key(old: str, new: str, where: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_profile(FULL.replace(old, new), source="profiles/x.toml")
    assert caught.value.where == f"profiles/x.toml: {where}"
