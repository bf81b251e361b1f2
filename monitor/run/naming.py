"""Names that people can pronounce: `brisk-otter-7`."""

from __future__ import annotations

import random
import re
import socket
from typing import Final

_FIRST: Final = """
    amber bold brave bright brisk calm candid clever cosmic crisp curious daring deft eager early fair fleet fond
    frank gentle glad golden grand hardy hazel honest humble jolly keen kind lively loyal lucid lucky mellow merry
    mild modest nimble noble patient placid plucky polar proud quick quiet rapid ready robust rosy royal rustic
    sharp silent silver smart snowy solid steady stellar stoic sturdy subtle sunny swift tidy tranquil true vivid
    warm wise witty young zesty
""".split()  # noqa: SIM905  # one word a line would fill two screens
_SECOND: Final = """
    badger beaver bison bobcat buzzard camel cedar condor coyote crane cricket dolphin eagle egret elk falcon ferret
    finch fox gecko gull hare hawk heron hornet ibex ibis iguana jackal jaguar kestrel kite koala lark lemur lion
    llama lynx magpie manta marten mole moose newt ocelot orca osprey otter owl panda parrot pelican penguin puffin
    puma quail raven robin salmon seal shrew sparrow stork swan tapir tern thrush tiger toucan trout turtle viper
    vole walrus weasel wolf
""".split()  # noqa: SIM905  # one word a line would fill two screens


def run_name(rng: random.Random) -> str:
    """A readable name for a run.

    >>> run_name(random.Random(4))
    'lively-magpie-14'
    """
    return f"{rng.choice(_FIRST)}-{rng.choice(_SECOND)}-{rng.randrange(1, 100)}"


def writer_name(pid: int, rng: random.Random) -> str:
    """A globally unique writer name: host, process id and random digits, at most 64 characters."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:32] or "host"
    return f"{host}-{pid}-{rng.getrandbits(48):012x}"
