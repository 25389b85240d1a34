"""XML that is a bomb, a way out, or a lie. Every shape is small to write and dear to read, where nothing stops it."""

from collections.abc import Callable, Iterator

from tests.rubbish.case import MB, WORD, Case, Traps, constant

MALFORMED = frozenset({"MalformedXml"})
READ: frozenset[str] = frozenset()
_HEAD = '<MsgHead xmlns="http://www.kith.no/xmlstds/msghead/2006-05-24"'
_A_DOCTYPE = "DOCTYPE"


def cases() -> tuple[Case, ...]:
    """Return them all."""
    return (*_bombs(), *_ways_out(), *_doctypes(), *_shapes(), *_encodings(), *_controls())


def _case(
    group: str,
    name: str,
    data: bytes | Callable[[Traps], bytes],
    why: str = "",
    *,
    refused: frozenset[str] = MALFORMED,
    charset: str = "",
) -> Case:
    make = constant(data) if isinstance(data, bytes) else data
    return Case(name=name, group=group, reader="xml", make=make, refused=refused, why=why, content_type=charset)


def _bombs() -> Iterator[Case]:
    """Twelve bombs of entities and declarations, all refused at the DOCTYPE, before libxml2 reads it."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    parameters = "".join(f"<!ENTITY % p{n} '{f'&#37;p{n - 1};' * 10}'>" for n in range(1, 8))
    attributes = "".join(f'<!ATTLIST e a{n} CDATA "{WORD * 100}">' for n in range(2_000))
    shapes = {
        "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "{WORD}">{laughs}]><a>&l9;</a>',
        "billion laughs in an attribute": f'<!DOCTYPE a [<!ENTITY l0 "{WORD}">{laughs}]><a b="&l9;"/>',
        "quadratic blow-up": f'<!DOCTYPE a [<!ENTITY q "{"x" * 100_000}">]><a>{"&q;" * 10_000}</a>',
        "quadratic blow-up in attributes": f'<!DOCTYPE a [<!ENTITY q "{"x" * 100_000}">]><a b="{"&q;" * 10_000}"/>',
        "parameter entities": f"<!DOCTYPE a [<!ENTITY % p0 '{WORD}'>{parameters} %p7;]><a/>",
        "an entity in itself": '<!DOCTYPE a [<!ENTITY r "&s;"><!ENTITY s "&r;">]><a>&r;</a>',
        "default attributes": f"<!DOCTYPE e [{attributes}]><e>{'<e/>' * 10_000}</e>",
        "100,000 declarations": "<!DOCTYPE a [" + "".join(f"<!ENTITY e{n} ''>" for n in range(100_000)) + "]><a/>",
        "an endless content model": f"<!DOCTYPE a [<!ELEMENT a {'(' * 100_000}b{')' * 100_000}>]><a/>",
        "a comment in the declarations": f"<!DOCTYPE a [<!--{'-x' * 1_000_000}-->]><a/>",
        "entities of markup": f'<!DOCTYPE a [<!ENTITY m "{"<b/>" * 1_000}">]><a>{"&m;" * 100_000}</a>',
        "a DOCTYPE without end": f"<!DOCTYPE {'a' * 10_000_000}",
    }
    for name, text in shapes.items():
        yield _case("bomb", name, constant(text.encode()), _A_DOCTYPE)


def _ways_out() -> Iterator[Case]:
    """What would make a parser open something. Without a DOCTYPE it may be read; nothing may be opened either way."""
    outside = {
        "external entity, file": lambda t: f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{t.file}">]><a>&x;</a>',
        "external entity, http": lambda t: f'<!DOCTYPE a [<!ENTITY x SYSTEM "{t.url}/x">]><a>&x;</a>',
        "external entity, ftp": lambda t: f'<!DOCTYPE a [<!ENTITY x SYSTEM "{t.url}/x">]><a>&x;</a>'.replace(
            "http:", "ftp:"
        ),
        "external entity, public": lambda t: f'<!DOCTYPE a [<!ENTITY x PUBLIC "p" "{t.url}/x">]><a>&x;</a>',
        "external entity in an attribute": lambda t: f'<!DOCTYPE a [<!ENTITY x SYSTEM "{t.file}">]><a b="&x;"/>',
        "external parameter entity": lambda t: f'<!DOCTYPE a [<!ENTITY % x SYSTEM "{t.url}/x"> %x;]><a/>',
        "external DTD, http": lambda t: f'<!DOCTYPE a SYSTEM "{t.url}/a.dtd"><a/>',
        "external DTD, file": lambda t: f'<!DOCTYPE a SYSTEM "file://{t.file}"><a/>',
        "external DTD, public": lambda t: f'<!DOCTYPE a PUBLIC "-//x//y//EN" "{t.url}/a.dtd"><a/>',
        "unparsed entity": lambda t: (
            f'<!DOCTYPE a [<!NOTATION n SYSTEM "{t.url}"><!ENTITY x SYSTEM "{t.url}/x" NDATA n>]><a b="x"/>'
        ),
    }
    for name, write in outside.items():
        yield _case("way out", name, _encoded(write), _A_DOCTYPE)
    inside: dict[str, Callable[[Traps], str]] = {
        "XInclude": lambda t: (
            f'{_HEAD} xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file://{t.file}" parse="text"/>'
            f'<xi:include href="{t.url}/x"/></MsgHead>'
        ),
        "schemaLocation": lambda t: (
            f'{_HEAD} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="'
            f'http://www.kith.no/xmlstds/msghead/2006-05-24 {t.url}/x.xsd urn:x file://{t.file}"/>'
        ),
        "noNamespaceSchemaLocation": lambda t: (
            '<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xsi:noNamespaceSchemaLocation="{t.url}/x.xsd">{t.file}</a>'
        ),
        "xml:base": lambda t: f'<a xml:base="{t.url}/"><b xmlns="relative" href="x"/></a>',
        "a style sheet": lambda t: f'<?xml-stylesheet type="text/xsl" href="{t.url}/x.xsl"?><a/>',
        "a namespace to fetch": lambda t: f'<a xmlns="{t.url}/ns"/>',
    }
    for name, write in inside.items():
        yield _case("way out", name, _encoded(write), refused=READ)
    undeclared = "<a>&undeclared;</a>"
    yield _case("way out", "an entity that nobody declared", undeclared.encode(), "not well-formed")


def _encoded(write: Callable[[Traps], str]) -> Callable[[Traps], bytes]:
    return lambda traps: write(traps).encode()


def _doctypes() -> Iterator[Case]:
    """Places to hide a DOCTYPE, none of which is a place."""
    plain = "<!DOCTYPE a><a/>"
    hidden = {
        "at the start": plain,
        "behind a declaration": f'<?xml version="1.0" encoding="utf-8"?>\r\n\t {plain}',
        "behind a comment": f"<!-- <a> -->{plain}",
        "behind a long comment": f"<!--{'<a/> ' * 400_000}-->{plain}",
        "behind ten thousand comments": f"{'<!---->' * 10_000}{plain}",
        "behind an instruction": f"<?x <a/> ?>{plain}",
        "behind a byte order mark": f"\ufeff{plain}",
        "with an internal subset": "<!DOCTYPE a [<!ELEMENT a ANY>]><a/>",
        "in lower case": "<!doctype a><a/>",
    }
    for name, text in hidden.items():
        yield _case("doctype", f"a DOCTYPE {name}", text.encode(), _A_DOCTYPE)
    yield _case("doctype", "a DOCTYPE in the document", b"<a><!DOCTYPE a></a>", "not well-formed")
    yield _case("doctype", "a DOCTYPE behind the document", b"<a/><!DOCTYPE a>", "not well-formed")
    yield _case("doctype", "a conditional section", b"<![INCLUDE[ <a/> ]]>", _A_DOCTYPE)


def _shapes() -> Iterator[Case]:
    """No declaration at all: depth, width, and names without measure."""
    many = "too much markup"
    yield _case("shape", "300 deep", _deep(300), "not well-formed")
    yield _case("shape", "a hundred thousand deep", lambda _: _deep(100_000), many)
    yield _case("shape", "3,000 deep in 9 MB", lambda _: _deep(3_000, b"x" * (9 * MB)), "not well-formed")
    yield _case("shape", "a million deep, never closed", lambda _: b"<a>" * 1_000_000)
    yield _case("shape", "10^6 attributes", lambda _: _attributes('a{0}=""'), many)
    yield _case("shape", "10^6 attributes in other quotes", lambda _: _attributes("a{0} = 'x'"), many)
    yield _case("shape", "10^6 times one attribute", lambda _: b"<a " + b"b='' " * 1_000_000 + b"/>", many)
    yield _case("shape", "10^6 namespaces", lambda _: _attributes('xmlns:n{0}="u:{0}"'), many)
    nested = "".join(f'<a xmlns:n{number}="urn:{number}">' for number in range(255)) + "</a>" * 255
    yield _case("shape", "255 namespaces on the way down", nested.encode(), refused=READ)
    yield _case("shape", "20,000 elements side by side", b"<a>" + b"<b/>" * 20_000 + b"</a>", many)
    yield _case("shape", "35 MB of elements", lambda _: b"<a>" + b"<b/>" * 8_749_998 + b"</a>", many)
    yield _case("shape", "10^6 comments", lambda _: b"<a>" + b"<!---->" * 1_000_000 + b"</a>", many)
    yield _case("shape", "10^6 instructions", lambda _: b"<a>" + b"<?x?>" * 1_000_000 + b"</a>", many)
    yield _case("shape", "10^6 sections", lambda _: b"<a>" + b"<![CDATA[x]]>" * 1_000_000 + b"</a>", many)
    yield _case("shape", "an instruction in the document", b"<a><?x y?></a>", "processing instruction")
    yield _case("shape", "an instruction behind the document", b"<a/><?x y?>", "processing instruction")
    yield _case(
        "shape", "5 * 10^6 character references", lambda _: b"<a>" + b"&#97;" * 5_000_000 + b"</a>", refused=READ
    )
    yield _case("shape", "34 MB of text", lambda _: b"<a>" + b"x" * (34 * MB) + b"</a>", refused=READ)
    yield _case("shape", "34 MB in an attribute", lambda _: b'<a b="' + b"x" * (34 * MB) + b'"/>', refused=READ)
    yield _case("shape", "a name of 20 MB", lambda _: b"<" + b"a" * (20 * MB) + b"/>", "not well-formed")
    yield _case("shape", "a tag without end", lambda _: b"<a " + b" " * (20 * MB), "not well-formed")
    yield _case("shape", "30 MB of blanks", lambda _: b" " * (30 * MB), "not well-formed")
    yield _case("shape", "a comment without end", lambda _: b"<!--" + b"-" * (20 * MB), "not well-formed")
    yield _case("shape", "35 MB and one byte", lambda _: b"<a>" + b"x" * (35 * MB - 6) + b"</a>", "over the limit")
    yield _case("shape", "nothing", b"", "not well-formed")


def _attributes(form: str) -> bytes:
    return f"<a {' '.join(form.format(number) for number in range(1_000_000))}/>".encode()


def _deep(levels: int, text: bytes = b"") -> bytes:
    return b"<a>" * levels + text + b"</a>" * levels


def _encodings() -> Iterator[Case]:
    """Bytes that say one thing and are another."""
    text = f"<a>{WORD} æøå</a>"
    other = "encoding"
    declared = '<?xml version="1.0" encoding="{}"?>'
    yield _case("encoding", "UTF-16 with its mark", text.encode("utf-16"), "NUL")
    yield _case("encoding", "UTF-16 without a mark", text.encode("utf-16-le"), "NUL")
    yield _case("encoding", "UTF-16 that says UTF-8", (declared.format("utf-8") + text).encode("utf-16-be"), "NUL")
    yield _case("encoding", "UTF-32", text.encode("utf-32"), "NUL")
    yield _case("encoding", "a DOCTYPE in UTF-16", "<!DOCTYPE a><a/>".encode("utf-16"), "NUL")
    yield _case("encoding", "UTF-7", declared.format("UTF-7").encode() + b"+ADw-a/+AD4-", other)
    yield _case("encoding", "EBCDIC", "<?xml version='1.0' encoding='IBM037'?><a/>".encode("cp037"), "not well-formed")
    yield _case("encoding", "an encoding of Japan", declared.format("Shift_JIS").encode() + b"<a/>", other)
    yield _case("encoding", "an encoding that is not", declared.format("x-none").encode() + b"<a/>", other)
    yield _case("encoding", "an encoding without end", declared.format("a" * 1_000_000).encode() + b"<a/>", other)
    yield _case("encoding", "UTF-8 that is Latin-1", (declared.format("utf-8") + text).encode("latin-1"))
    yield _case("encoding", "Latin-1 behind a mark", b"\xef\xbb\xbf" + declared.format("iso-8859-1").encode() + b"<a/>")
    yield _case(
        "encoding",
        "another charset in MIME",
        (declared.format("utf-8") + text).encode(),
        "do not name one",
        charset="iso-8859-1",
    )
    yield _case("encoding", "a strange charset in MIME", text.encode(), other, charset="utf-7")
    yield _case("encoding", "overlong UTF-8", b"<a>\xc0\xbcb/\xc0\xbe</a>", "not well-formed")
    yield _case("encoding", "half a surrogate", b"<a>\xed\xa0\x80</a>", "not well-formed")
    yield _case("encoding", "beyond Unicode", b"<a>\xf4\x90\x80\x80</a>", "not well-formed")
    yield _case("encoding", "cut inside a character", b"<a>\xc3", "not well-formed")
    yield _case("encoding", "a NUL", b"<a>\0</a>", "NUL")
    yield _case("encoding", "a NUL by reference", b"<a>&#0;</a>", "not well-formed")
    yield _case("encoding", "a control character", b"<a>\x08</a>", "not well-formed")
    yield _case("encoding", "XML 1.1", b'<?xml version="1.1"?><a>&#1;</a>', "declaration")
    yield _case("encoding", "two declarations", b'<?xml version="1.0"?><?xml version="1.0"?><a/>', "not well-formed")
    yield _case("encoding", "two encodings", b'<?xml version="1.0" encoding="utf-8" encoding="utf-7"?><a/>', "declarat")
    yield _case("encoding", "two marks", b"\xef\xbb\xbf\xef\xbb\xbf<a/>", "byte order mark")


def _controls() -> Iterator[Case]:
    """What must be read, or the refusals above prove nothing."""
    plain = '<?xml version="1.0" encoding="{}"?><!-- c --><?x y?><a><b c="æ">ø</b></a>'
    yield _case("control", "an honest document", plain.format("utf-8").encode(), refused=READ)
    yield _case("control", "an honest document in Latin-1", plain.format("iso-8859-1").encode("latin-1"), refused=READ)
    yield _case("control", "255 deep", _deep(255), refused=READ)
    wide = (b"<b>" + b"<c/>" * 4_948 + b"</b>") * 20
    yield _case("control", "99,000 elements", b"<a>" + wide + b"</a>", refused=READ)
    yield _case("control", "35 MB to the byte", lambda _: b"<a>" + b"x" * (35 * MB - 7) + b"</a>", refused=READ)
