"""The command line: generated, order-free, exact in both directions, and one-lined."""

import ast
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nst_jax import __version__, flagfile, flags, layers, preset, usage
from nst_jax.config import (
    Config,
    InputConfig,
    JobsConfig,
    NetworkConfig,
    OutputConfig,
    SolveConfig,
)
from nst_jax.errors import RequestError
from nst_jax.settings import entry, setting

FILES = ("--content=a.jpg", "--style=b.jpg", "--output=c.png")
FIELDS = [
    field
    for group in dataclasses.fields(Config)
    for field in dataclasses.fields(group.type)
]


def parse(*arguments, record=""):
    return flags.parse(arguments, read_settings=lambda path: record)


def config_of(*arguments, record=""):
    return parse(*FILES, *arguments, record=record).config


def refusal(*arguments, record=""):
    with pytest.raises(RequestError) as caught:
        parse(*arguments, record=record)
    message = str(caught.value)
    assert message.isprintable(), "an error is one line"
    return message


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"--flagfile={path}"


# What the flags are


def test_bare_request_is_the_defaults():
    request = parse(*FILES)
    assert request.config == Config(
        inputs=InputConfig(content="a.jpg", style=("b.jpg",)),
        output=OutputConfig(output="c.png"),
    )
    assert request.given == {"content", "style", "output"}
    assert (request.preset, request.answer) == ("", "")


def sample(field):
    """A text and its value, other than the default."""
    kind = field.type
    if kind is bool:
        return ("false", False) if field.default else ("true", True)
    if get_origin(kind) is Literal:
        choice = get_args(kind)[-1]
        return (choice, choice)
    if field.name in ("content_layers", "style_layers"):
        return "conv3_1:0.25,pool2", ("conv3_1:0.25", "pool2")
    if field.name == "style_loss":
        return "covariance:2,gram", ("covariance:2", "gram")
    if field.name == "scales":
        return "128,256", "128,256"
    if field.name == "device":
        return "gpu:1", "gpu:1"
    if field.name == "checkpoint_every":
        return "5s", "5s"
    if field.name == "devices":
        return "3", "3"
    if field.name == "coordinator":
        return "host:80", "host:80"
    if kind == tuple[int, ...]:
        return "3,2", (3, 2)
    if get_origin(kind) is tuple:
        return ("0.5", (0.5,)) if get_args(kind)[0] is float else ("x, y", ("x", "y"))
    if kind is str:
        return ("48", "48") if field.name == "tile" else ("other", "other")
    value = kind(max(field.metadata["low"], 1) if kind is int else 1.5)
    return str(kind(min(value, field.metadata["high"]))), kind(
        min(value, field.metadata["high"])
    )


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_is_a_flag(field):
    text, value = sample(field)
    # Line search and schedules do not go together.
    needs = dict.fromkeys(("schedule", "warmup_steps"), "--optimizer=adam")
    needs["style_mask"] = "--content_mask=m.png"
    needs["resume"] = "--checkpoint=folder"
    needs["coordinator"] = "--processes=2"
    needs["processes"] = "--coordinator=host:80"
    needs["process"] = "--coordinator=host:80 --processes=2"
    other = needs.get(field.name, "").split()
    config = config_of(f"--{field.name}={text}", *other)
    found = [
        getattr(group, field.name)
        for group in vars(config).values()
        if hasattr(group, field.name)
    ]
    assert found == [value]


def test_a_flag_may_stand_alone_where_that_has_a_meaning():
    assert config_of("--resume", "--checkpoint=d").output.resume == "exact"
    assert config_of("--resume=none").output.resume == "none"
    with pytest.raises(RequestError, match="must be one of none, exact, extend"):
        config_of("--resume=yes", "--checkpoint=d")
    with pytest.raises(RequestError, match="needs --checkpoint"):
        config_of("--resume")


def test_help_names_every_field_with_its_default_in_88_columns():
    answer = parse("--help").answer
    assert all(len(line) <= 88 for line in answer.splitlines())
    entries = re.split(r"\n(?=  --)", answer)
    heads = {re.match(r" *--(\w+)", entry)[1]: entry for entry in entries[1:]}
    fields = [*FIELDS, *dataclasses.fields(JobsConfig)]
    assert heads.keys() == {field.name for field in fields} | usage.NOT_SETTINGS.keys()
    for field in fields:
        words = " ".join(heads[field.name].split())
        assert " ".join(field.metadata["help"].split()) in words
        for choice in get_args(field.type) if get_origin(field.type) is Literal else ():
            assert re.search(rf"\b{choice}\b", words)
    assert "default 0.0784314)" in heads["noise_amplitude"]
    assert "(0 to 4294967295; default 0)" in " ".join(heads["seed"].split())
    assert "(at least 0; default 512)" in " ".join(heads["size"].split())
    assert "--antialias, --noantialias" in heads["antialias"]
    assert "default on" in heads["antialias"]
    assert "default off" in heads["offline"]
    for group in dataclasses.fields(Config):
        assert f"\n{group.type.__doc__}\n" in answer


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-help", "--steps=3"), ("-h",), (*FILES, "-h"), FILES]
)
def test_help_needs_nothing_else(arguments):
    assert ("--size=N" in parse(*arguments).answer) == (arguments is not FILES)


def test_every_program_of_the_package_helps_for_short():
    program = flags.Program({}, lambda: "its own help")
    request = flags.parse(["-h"], read_settings=str, program=program)
    assert request.answer == "its own help"


def test_version():
    assert parse("--version").answer == f"nst-jax {__version__}"


@pytest.mark.parametrize(
    ("first", "second"),
    [("size", "size"), ("size", "preset"), ("size", "nosize"), ("nosize", "size")],
)
def test_two_flags_of_one_name_are_a_fault(first, second):
    one = dataclasses.make_dataclass("One", [(first, int, setting(1, ""))])
    two = dataclasses.make_dataclass("Two", [(second, int, setting(1, ""))])
    both = dataclasses.make_dataclass("Both", [("one", one), ("two", two)])
    with pytest.raises(TypeError, match="two flags would be called"):
        flags.settings(both)


def test_nothing_is_shared_with_absl_or_loads_jax():
    code = (
        "import sys; from nst_jax import flags;"
        f"flags.parse({FILES!r}, read_settings=str);"
        "from absl import flags as other; assert 'size' not in other.FLAGS;"
        "print({'jax', 'jaxlib', 'numpy', 'PIL', 'absl.logging'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# How values are written


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\me\a b.jpg",
        "a=b==.jpg",
        "--size=3",
        "-",
        " lead and trail ",
        "ünï ☃ \u2028.jpg",
        "a,b;'c'\"d\".jpg",
        '"quoted"',
        "# no comment",
    ],
)
def test_paths_survive(tmp_path, path):
    one = config_of(f"--content={path}").inputs
    two = config_of("--content", path).inputs
    line = write(tmp_path / "x.flags", f"--content={path}")
    assert [one.content, two.content, config_of(line).inputs.content] == [path] * 3
    entry = flagfile.to_text((path, "second"))
    assert config_of(f"--style={entry}").inputs.style == (path, "second")


@pytest.mark.parametrize("value", [(), ("",), ("", "")])
def test_empty_lists_and_entries_differ(value):
    text = flagfile.to_text(value)
    assert flagfile.from_text("style", tuple[str, ...], text) == value


def test_lists():
    assert config_of("--style=a.jpg, b.jpg").inputs.style == ("a.jpg", "b.jpg")
    assert config_of('--style=a.jpg,"b, ""c"".jpg"').inputs.style == (
        "a.jpg",
        'b, "c".jpg',
    )
    empty = config_of("--content_layers=", "--content_weight=0")
    assert empty.objective.content_layers == ()
    inputs = config_of("--style=a,b", "--style_scale=1, 0.5").inputs
    assert inputs.style_scale == (1, 0.5)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--offline", True),
        ("--nooffline", False),
        ("--offline=false", False),
        ("-offline", True),
    ],
)
def test_switches(argument, value):
    assert config_of(argument).network.offline is value


# Where settings come from

PRESET = "# A preset.\n--size=100\n--steps=7\n"


@pytest.fixture
def two_presets(monkeypatch):
    texts = {"fast": PRESET, "slow": "# S.\n"}
    rows = {name: preset.read(name, text) for name, text in texts.items()}
    monkeypatch.setattr(preset, "every", lambda: rows)


@pytest.mark.parametrize("base", ["--preset=fast", "--from=old.png"])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.usefixtures("two_presets")
def test_flags_override_the_base_wherever_they_stand(tmp_path, base, place, in_file):
    arguments = ["--size=50", "--seed=3"]
    line = write(tmp_path / "base.flags", base) if in_file else base
    arguments.insert(place, line)
    request = parse(*FILES, *arguments, record=PRESET)
    assert request.config.inputs.size == 50
    assert request.config.inputs.seed == 3
    assert request.config.solve.steps == 7
    assert request.given == {"content", "style", "output", "size", "seed"}
    assert request.preset == ("fast" if base.startswith("--preset") else "")


@pytest.mark.usefixtures("two_presets")
def test_what_is_typed_stands_in_no_file(tmp_path):
    line = write(tmp_path / "x.flags", "--size=1", "--seed=2")
    request = parse(*FILES, "--preset=fast", line, "--size=3", "--seed=4", line)
    assert request.typed == {"content", "style", "output", "size", "seed"}
    assert parse(*FILES, "--preset=fast", line).typed == {"content", "style", "output"}


@pytest.mark.parametrize(
    ("arguments", "origin"),
    [
        (["--size=50"], "fast, changed: size"),
        (["--size=100", "--steps=8", "--quiet"], "fast, changed: steps"),
        (["--size=100", "--network=vgg19", "--weights=auto"], "fast"),
        (
            ["--network=vgg16"],
            "fast (not the preset: other weights), changed: network",
        ),
    ],
)
@pytest.mark.usefixtures("two_presets")
def test_what_a_preset_says_already_changes_nothing_of_it(arguments, origin):
    assert flags.origin(parse(*FILES, "--preset=fast", *arguments)) == origin
    assert flags.origin(parse(*FILES, *arguments)) == ""


def test_of_two_flags_the_later_wins_and_files_stand_where_they_are(tmp_path):
    line = write(tmp_path / "x.flags", "--size=1", "--steps=2")
    config = config_of("--steps=3", line, "--size=4")
    assert (config.inputs.size, config.solve.steps) == (4, 2)


def test_from_is_read_from_the_path_that_is_named():
    asked = []
    request = flags.parse(
        ["--from=dir/old.png", "--output=c.png"],
        read_settings=lambda path: asked.append(path) or "--content=a\n--style=b\n",
    )
    assert asked == ["dir/old.png"]
    assert request.config.inputs == InputConfig(content="a", style=("b",))
    assert request.given == {"output"}


@pytest.mark.usefixtures("two_presets")
def test_two_bases_are_refused():
    message = refusal(*FILES, "--from=old.png", "--preset=fast")
    assert "--preset=fast" in message
    assert "--from=old.png" in message


def test_flagfiles_nest_and_skip_comments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    inner = ["# comment", "// too", "", "  --quiet ", "--size=9", "--seed=1 "]
    write(tmp_path / "inner.flags", *inner)
    # The path inside is relative to the working directory, not to sub/.
    line = write(tmp_path / "sub/outer.flags", "--flagfile=inner.flags", "--seed=2")
    config = config_of(line)
    assert (config.inputs.size, config.inputs.seed, config.output.quiet) == (9, 2, True)
    spaced = config_of("--flagfile", "inner.flags", "-flagfile=inner.flags")
    assert spaced.inputs.seed == 1


def test_same_flagfile_twice_in_a_row_is_no_cycle(tmp_path):
    line = write(tmp_path / "x.flags", "--size=9")
    assert config_of(line, line).inputs.size == 9


def test_flagfile_from_windows(tmp_path):
    (tmp_path / "x.flags").write_bytes(
        b"\xef\xbb\xbf--content=\xc3\xbc\r\n--seed=1\r\n"
    )
    config = config_of(f"--flagfile={tmp_path / 'x.flags'}")
    assert (config.inputs.content, config.inputs.seed) == ("ü", 1)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_flagfile_cycle_is_refused(tmp_path, length):
    for index in range(length):
        follower = tmp_path / f"{(index + 1) % length}.flags"
        write(tmp_path / f"{index}.flags", f"--flagfile={follower}")
    message = refusal(f"--flagfile={tmp_path / '0.flags'}")
    assert "includes itself" in message
    assert "0.flags" in message


@pytest.mark.parametrize(("files", "each"), [(40, 2), (3000, 1)])
def test_flagfiles_that_include_others_for_ever_are_refused(tmp_path, files, each):
    for index in range(files):
        line = f"--flagfile={tmp_path / f'{index + 1}.flags'}\n"
        (tmp_path / f"{index}.flags").write_text(line * each)
    (tmp_path / f"{files}.flags").write_text("--size=32")
    assert "more than 100" in refusal(f"--flagfile={tmp_path / '0.flags'}")


def test_a_long_name_is_no_endless_search_for_what_resembles_it():
    message = refusal("--" + "style" * 2000)
    assert "unknown flag" in message
    assert len(message) < 200


def test_unreadable_flagfiles(tmp_path):
    assert "none.flags" in refusal(f"--flagfile={tmp_path / 'none.flags'}")
    assert "cannot read" in refusal(f"--flagfile={tmp_path}")
    assert "cannot read" in refusal("--flagfile")
    (tmp_path / "x.flags").write_text("#" * 2**20 + "\n")
    assert "more than 262144 bytes" in refusal(f"--flagfile={tmp_path / 'x.flags'}")
    (tmp_path / "x.flags").write_text("--size=1", encoding="utf-16")
    assert "UTF-8" in refusal(f"--flagfile={tmp_path / 'x.flags'}")


@pytest.mark.parametrize(
    "line",
    ["--output=/home/me/precious", "--overwrite", "--preset=default", "--help"],
)
def test_a_picture_may_not_choose_files_or_bases(line):
    message = refusal(*FILES, "--from=old.png", record=line)
    assert message.startswith("settings in 'old.png': --")
    assert "may not stand there" in message


def test_what_earlier_pictures_say_of_their_side_files_is_not_repeated():
    record = "--preview_every=5\n--save_every=50\n--log_every=3"
    config = config_of("--from=old.png", record=record)
    assert config.output == config_of().output
    assert config.solve.log_every == 3


@pytest.mark.parametrize("form", ["--flagfile={}", "-flagfile={}", "--flagfile\n{}"])
def test_a_picture_may_not_read_files(tmp_path, form):
    write(tmp_path / "x", "--size=3")
    record = form.format(tmp_path / "x")
    message = refusal(*FILES, "--from=old.png", record=record)
    assert message == "settings in 'old.png': --flagfile may not stand there"


def test_of_paths_in_a_picture_only_the_names_count():
    record = "--content=/etc/a.jpg\n--style=x/b.jpg,../c.jpg\n--init=/tmp/noise\n"
    config = parse("--from=old.png", "--output=c.png", record=record).config
    assert config.inputs.content == "a.jpg"
    assert config.inputs.style == ("b.jpg", "c.jpg")
    assert config.inputs.init == "./noise"


@pytest.mark.parametrize(
    "line", ["--device=gpu:1", "--offline", "--weights_source=url", "--max_pixels=9"]
)
def test_a_picture_says_nothing_of_this_machine(line):
    assert "may not stand there" in refusal(*FILES, "--from=o.png", record=line)
    name = line.strip("-").partition("=")[0]
    config = config_of(line)
    assert f"--{name}=" not in flagfile.dump(config, folders=False)
    assert f"--{name}=" in flagfile.dump(config, folders=True)


def test_the_files_that_settings_come_from_are_known(tmp_path):
    inner, outer = tmp_path / "inner.flags", tmp_path / "outer.flags"
    write(outer, write(inner, "--size=50"))
    request = parse(*FILES, f"--flagfile={outer}", "--from=old.png", record=PRESET)
    assert set(request.sources) == {str(outer), str(inner), "old.png"}
    assert parse(*FILES).sources == ()


def test_the_users_folder_has_a_short_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    line = write(tmp_path / "x.flags", "--style=~/b.jpg,c~.jpg")
    asked = []
    request = flags.parse(
        [*FILES, line, "--weights=~/w", "--metrics=~/m.csv", "--from=~/old.png"],
        read_settings=lambda path: asked.append(path) or "--init=~\n",
    )
    config, here = request.config, lambda name: os.path.join(f"{tmp_path}", name)
    assert config.inputs.style == (here("b.jpg"), "c~.jpg")
    assert config.network.weights == here("w")
    assert config.output.metrics == here("m.csv")
    assert asked == [here("old.png")]
    # A picture does not get to name the user's folder.
    assert config.inputs.init == "~"


# Mistakes


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--stpes=3", "unknown flag --stpes; did you mean --steps?"),
        ("--stpes", "unknown flag --stpes; did you mean --steps?"),
        (
            "--content-weight=3",
            "unknown flag --content-weight; did you mean --content_weight?",
        ),
        ("--SIZE=3", "unknown flag --SIZE; did you mean --size?"),
        ("--no-quiet", "unknown flag --no-quiet; did you mean --noquiet?"),
        ("--preste=x", "unknown flag --preste; did you mean --preset?"),
        ("--undefok=stpes", "unknown flag --undefok; "),
        ("-undefok", "unknown flag --undefok; "),
        ("--zzz=3", "unknown flag --zzz; --help lists all"),
        (
            "--noise_ration=1",
            "unknown flag --noise_ration; did you mean --noise_ratio?",
        ),
        ("--si\nze=3", "unknown flag '--si\\nze'; did you mean --size?"),
        ("--steps=abc", "--steps must be a whole number, got 'abc'"),
        ("--steps=1.5", "--steps must be a whole number, got '1.5'"),
        ("--steps=", "--steps must be a whole number, got ''"),
        ("--steps=9" + "9" * 400, "--steps must be a whole number, got '999"),
        ("--tv_weight=x\ny", r"--tv_weight must be a number, got 'x\ny'"),
        ("--style_weights=1,x", "--style_weights must be a number, got 'x'"),
        ('--style="a', "--style must be entries with commas between"),
        ("--fit=corp", "--fit must be one of keep, crop, stretch, width, got 'corp'"),
        ("--steps=-1", "--steps must be at least 0, got -1"),
        ("--tv_weight=nan", "--tv_weight must be at least 0 and below 3e+38, got nan"),
        (
            "--style_weight=inf",
            "--style_weight must be at least 0 and below 3e+38, got",
        ),
        ("--tv_weight=-3", "--tv_weight must be at least 0, got -3"),
        (
            "--style_loss=foo",
            "--style_loss must be of gram, mean_std, covariance, wasserstein, each",
        ),
        ("--style_loss=gram,gram:2", "--style_loss must name each statistic once, got"),
        ("--device=npu", "--device must be auto, cpu, gpu or tpu, with a number"),
        ("--device=gpu:-1", "--device must be auto, cpu, gpu or tpu, with a number"),
        ("--schedule=cosine", "--schedule and --warmup_steps are not for --optimizer="),
        ("--style_mask=m.png", "--style_mask needs --content_mask"),
        ("--noise_ratio=1.1", "--noise_ratio must be 0 to 1, got 1.1"),
        ("--style_scale=1,2", "--style_scale must have one value"),
        ("--style_weights=1,2", "--style_weights must have one value"),
        ("--content=a\nb", "--content may not hold control characters"),
        ("--content_layers=relu1_1:x", "--content_layers is written NAME or NAME:W"),
        ("--content_layers=relu1_1:1/2", "--content_layers is written NAME or NAME:W"),
        ("--style_layers=relu1_1:x", "--style_layers is written NAME or NAME:WEIGHT"),
        ("--style_loss=gram:x", "--style_loss is written NAME or NAME:WEIGHT with"),
        ("--content_layers=relu9_9", "layer 'relu9_9' is not in vgg19"),
        ("--quiet=maybe", "--quiet must be true or false, got another"),
        ("--noquiet=1", "--noquiet=1 does not take an argument"),
        ("--metrics", "Missing value for flag --metrics"),
        ("photo.jpg", "unexpected argument 'photo.jpg': everything is a flag"),
        ("-", "unexpected argument '-'"),
        ("a\nb", r"unexpected argument 'a\nb'"),
        ("--preset=defalt", "unknown preset 'defalt'; did you mean default?"),
        ("--preset=../x", "unknown preset '../x'; --preset=help lists them"),
        ("--preset=", "unknown preset ''; --preset=help lists them"),
    ],
)
def test_mistakes_are_answered_with_the_flag(argument, message):
    assert refusal(*FILES, argument).startswith(message)


def test_mistakes_in_files_name_the_file(tmp_path):
    path = tmp_path / "x.flags"
    line = write(path, "--stpes=3")
    assert refusal(line) == f"{path}: unknown flag --stpes; did you mean --steps?"
    write(path, "--size 512")
    assert refusal(line) == f"{path}: --size 512: write --size=512"
    write(path, "size=512")
    assert refusal(line).startswith(f"{path}: unexpected argument 'size=512'")
    message = refusal("--from=o.png", record="--size=-1")
    assert message.startswith("settings in 'o.png': --size must be at least 0")


def texts_of_refusals():
    """What each RequestError of the package says, with {} for what it is told."""
    root = Path(flags.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_refusal = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_refusal and node.func.id == "RequestError":
                said = ast.unparse(node.args[0])
                yield path.name, re.sub(r"\{[^{}]*\}", "{}", said)


def test_a_message_writes_settings_as_they_are_typed():
    names = sorted(field.name for field in FIELDS if "_" in field.name)
    bare = re.compile(rf"(?<![-\w])({'|'.join(names)})(?!\w)")
    found = [(path, text) for path, text in texts_of_refusals() if bare.search(text)]
    assert len([*texts_of_refusals()]) > 100
    assert found == []


def test_a_message_of_an_entry_names_the_flag_it_is_told():
    for text in ("gram:x", "gram:1/2"):
        with pytest.raises(RequestError, match=r"^--style_loss is written NAME or"):
            entry(text, "--style_loss")


FRAGMENTS = ["--", "-", "=", ",", '"', "\n", "no", "flagfile", "from", "preset", "1e9"]
WORDS = st.sampled_from([*FRAGMENTS, *(field.name for field in FIELDS)]) | st.text()


@settings(max_examples=200, deadline=None)
@given(arguments=st.lists(st.lists(WORDS, max_size=4).map("".join), max_size=4))
@example(arguments=["--flagfile=a\0b"])
@example(arguments=["--size \x1b"])
@example(arguments=["--content=~\0", "--from=~a\0"])
def test_whatever_is_typed_gets_a_request_or_one_line(arguments):
    message = ""
    try:
        parse(*FILES, *arguments, record="--size=1")
    except RequestError as error:
        message = str(error)
    assert message.isprintable()


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_files_are_required(missing):
    rest = [flag for index, flag in enumerate(FILES) if index != missing]
    name = FILES[missing].partition("=")[0]
    assert refusal(*rest).startswith(f"missing {name}: write --content=")
    assert refusal(*rest, f"{name}=").startswith(f"missing {name}: ")


def test_nothing_at_all_and_empty_entries():
    assert refusal().startswith("missing --content and --style and --output: ")
    assert refusal(*FILES, "--style=a,").startswith("missing --style: ")


# The flagfile that a run leaves

ROOT = str(Path.cwd().anchor)
NAMES = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters="/\\:"),
    min_size=1,
).filter(lambda name: name != ".")
PATHS = NAMES.map(lambda name: f"{ROOT}d{os.sep}{name}")
LAYERS = [row.name for row in layers.table("vgg16")]


def values_of(field):
    kind, low, high = field.type, field.metadata["low"], field.metadata["high"]
    if field.metadata["stored"] == "never":
        return st.just(field.default)
    if kind is bool:
        return st.booleans()
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is int:
        return st.integers(int(low), min(high, 2**40))
    if kind is float:
        return st.floats(low, min(high, 2.9e38))
    return None


@st.composite
def parts(draw):
    """The arguments of each settings class.

    Not a Config: the run-time type checks draw random numbers of their own.
    """
    drawn = {}
    for group in dataclasses.fields(Config):
        choices = {
            field.name: values_of(field) for field in dataclasses.fields(group.type)
        }
        drawn[group.name] = {
            name: draw(choice) for name, choice in choices.items() if choice is not None
        }
    if drawn["optimizer"]["optimizer"] == "lbfgs":  # it takes no schedule
        drawn["optimizer"] |= {"schedule": "constant", "warmup_steps": 0}
    styles = draw(st.lists(PATHS, min_size=1, max_size=3))
    counts = st.sampled_from([1, len(styles)])
    scales, shares = (
        draw(st.lists(st.floats(0.01, 100), min_size=count, max_size=count))
        for count in (draw(counts), draw(counts))
    )
    weighted = st.dictionaries(
        st.sampled_from(LAYERS), st.floats(0, 1e9), max_size=3
    ).map(lambda found: tuple(f"{name}:{weight}" for name, weight in found.items()))
    drawn["inputs"] |= {
        "content": draw(PATHS),
        "style": tuple(styles),
        "style_scale": tuple(scales),
        "init": draw(st.sampled_from(["content", "noise", "blend", "style"]) | PATHS),
    }
    drawn["network"]["weights"] = draw(st.sampled_from(["auto", "random"]) | PATHS)
    drawn["objective"] |= {
        "style_weights": tuple(shares),
        "content_layers": draw(weighted),
        "style_layers": draw(weighted),
        "tv_weight": draw(st.floats(1e-3, 1e9)),  # something is left to minimise
        "balance": draw(st.sampled_from(["auto", "none"])),  # which leaves no term out
        "strength": -1.0,
    }
    for kind in ("content", "style"):
        if not drawn["objective"][f"{kind}_layers"]:
            drawn["objective"][f"{kind}_weight"] = 0.0
    drawn["output"] |= {
        "output": draw(PATHS),
        "device": draw(st.sampled_from(["auto", "cpu", "gpu:1"])),
    }
    return drawn


@settings(max_examples=60, deadline=None)
@given(drawn=parts(), comment=st.text(max_size=20))
@example(
    drawn={
        "inputs": {
            "content": f"{ROOT}caf\udce9 ",
            "style": (f'{ROOT}a,"b" ', f"{ROOT}#c"),
        },
        "objective": {
            "style_weights": (0.1, 1 / 3),
            "content_layers": (),
            "content_weight": 0.0,
        },
        "output": {"output": f"{ROOT}c\u2028\x85.png"},
    },
    comment="x\n--overwrite",
)
def test_dump_repeats_the_run_exactly(tmp_path_factory, drawn, comment):
    types = {group.name: group.type for group in dataclasses.fields(Config)}
    config = Config(**{name: types[name](**values) for name, values in drawn.items()})
    text = flagfile.comments([comment]) + flagfile.dump(config, folders=True)
    path = tmp_path_factory.mktemp("dump") / "c.flags"
    path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    assert parse(f"--flagfile={path}").config == config


def test_dump_is_complete_and_grouped():
    config = config_of("--noantialias", "--size=3", "--quiet")
    text = flagfile.comments(["content sha256 00ff"])
    text += flagfile.dump(config, folders=True)
    assert text.startswith(f"# nst-jax {__version__}\n# content sha256 00ff\n\n# What")
    names = re.findall(r"^--(\w+)=", text, re.MULTILINE)
    stored = [field for field in FIELDS if field.metadata["stored"] != "never"]
    assert names == [field.name for field in stored]
    assert "\n--antialias=false\n" in text
    assert "\n--size=3\n" in text
    assert text.endswith("\n")


def test_a_record_does_not_repeat_the_other_files_of_its_run(tmp_path):
    others = ("--metrics=m.csv", "--report=r.html", "--preview=p.png")
    steps = ("--save_every=50", "--preview_every=5")
    text = flagfile.dump(config_of(*others, *steps), folders=True)
    assert not {"m.csv", "r.html", "p.png"} & set(re.split(r"[\n=/\\]", text))
    for folders in (False, True):  # nor does it inside a picture
        text = flagfile.dump(config_of(*others, *steps), folders=folders)
        assert "_every=5" not in text.replace("log_every", "")
    (tmp_path / "c.flags").write_text(text, encoding="utf-8")
    again = parse("--metrics=n.csv", f"--flagfile={tmp_path / 'c.flags'}").config
    assert again.output.metrics == "n.csv"


def test_dump_with_folders_makes_paths_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_of(
        "--style=b.jpg,../c,d.jpg", "--init=e.png", "--weights=w.safetensors"
    )
    there = f"--flagfile={tmp_path / 'x.flags'}"
    Path("x.flags").write_text(flagfile.dump(config, folders=True), encoding="utf-8")
    monkeypatch.chdir(tmp_path.parent)
    again = parse(there).config
    assert again.inputs.content == str(tmp_path / "a.jpg")
    # Not normalised: tmp_path may be a link, whose parent is elsewhere.
    expected = [str(tmp_path / name) for name in ("b.jpg", "../c", "d.jpg")]
    assert again.inputs.style == tuple(expected)
    assert again.inputs.init == str(tmp_path / "e.png")
    assert again.network.weights == str(tmp_path / "w.safetensors")
    assert again.output.output == str(tmp_path / "c.png")
    assert (again.output.metrics, again.output.preview) == ("", "")


def test_record_holds_names_only():
    config = Config(
        inputs=InputConfig(
            content=f"secret{os.sep}a.jpg", style=(f"secret{os.sep}b,.jpg", "c.jpg")
        ),
        network=NetworkConfig(weights=f"secret{os.sep}w.h5"),
        output=OutputConfig(
            output=f"secret{os.sep}o.png", metrics="secret.csv", preview="secret.png"
        ),
        solve=SolveConfig(steps=5),
    )
    text = flagfile.dump(config, folders=False)
    assert "secret" not in text
    assert "--output" not in text
    again = parse("--from=o.png", "--output=n.png", record=text).config
    assert again.inputs.content == "a.jpg"
    assert again.inputs.style == ("b,.jpg", "c.jpg")
    assert again.network.weights == "w.h5"
    assert again.solve == config.solve
    assert again.output == OutputConfig(output="n.png")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("init", "noise", "noise"),
        ("init", f"dir{os.sep}noise", "./noise"),
        ("weights", "auto", "auto"),
        ("weights", f"dir{os.sep}auto", "./auto"),
    ],
)
def test_a_file_called_as_a_keyword_stays_a_file(name, value, kept):
    text = flagfile.dump(config_of(f"--{name}={value}"), folders=False)
    assert f"\n--{name}={kept}\n" in text
    whole = flagfile.dump(config_of(f"--{name}={value}"), folders=True)
    assert (f"\n--{name}={value}\n" in whole) == (value == kept)


def test_record_is_unicode():
    config = config_of("--content=caf\udce9.jpg")
    assert "--content=caf?.jpg\n" in flagfile.dump(config, folders=False)


@pytest.mark.skipif(os.name == "nt", reason="such folders cannot exist on Windows")
def test_working_directory_with_a_line_break(tmp_path, monkeypatch):
    (tmp_path / "a\nb").mkdir()
    monkeypatch.chdir(tmp_path / "a\nb")
    with pytest.raises(RequestError, match="control characters"):
        flagfile.dump(config_of(), folders=True)


# Presets


@pytest.mark.parametrize("row", preset.every().values(), ids=lambda row: row.name)
def test_presets_stand_and_describe_themselves(row):
    assert len(row.summary) > 10
    assert row.evidence, "a preset says how far it is proven"
    listed = " ".join(parse("--preset=help").answer.split())
    assert row.name in listed
    assert row.summary[:40] in listed
    assert parse(*FILES, f"--preset={row.name}").preset == row.name
    assert "@" in parse("--cite", f"--preset={row.name}").answer


def test_default_preset_is_the_defaults():
    assert config_of("--preset=default") == config_of()


def test_summary_is_empty_without_a_comment():
    assert preset.read("x", "--size=3\n# late").summary == ""


def test_citations_follow_the_settings():
    plain = parse("--cite").answer
    assert "{gatys2016," in plain
    assert "{liu1989," in plain
    assert "{olkin1982," not in plain
    other = parse("--cite", "--style_loss=wasserstein", "--optimizer=adam").answer
    assert "{olkin1982," in other
    assert "{kingma2015," in other
    assert "{liu1989," not in other
