"""Limits what Apprise does over HTTP: no redirects, no unintended addresses, no endless responses.

Apprise's plugins use the `requests` library, which follows redirects anywhere, reads responses of any size, and waits
for as long as a receiver trickles bytes. Its modules get a guarded substitute instead; the library itself is unchanged
for the rest of the process. Channels that were added through the API are not trusted: all their sockets are checked,
whatever their protocol, and they read no files of the server.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import socket
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import requests

Private = Literal["named", "always", "never"]
"""Which non-public addresses a channel may reach: those named in its URL, all, or none."""

ANSWER: Final = 2**20
"""Most bytes of a response that are read."""
WITHIN_S: Final = 30.0
"""Most seconds that a request may take, from connecting to the end of the response."""
TIMEOUT_S: Final = 10.0
"""Seconds to wait for a connection and for each byte, unless the plugin sets its own."""
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
"""The public IPv6 addresses; `is_global` also accepts unassigned ones such as `fec0::1`."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that embed an IPv4 address in their last four bytes."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class Policy:
    """Which addresses a channel may reach.

    Attributes:
        private: see `Private`.
        named: the hosts in its URL.
        trusted: the server's own settings name it.
        timers: end open connections that take too long.
        refused: why the last connection was refused or failed, if it was.
        answered: what the last answer says where it refuses a message; None where it does not.
    """

    private: Private = "named"
    named: frozenset[str] = frozenset()
    trusted: bool = True
    timers: list[threading.Timer] = field(default_factory=list)
    refused: str | None = None
    answered: str | None = None

    def problem(self, host: str, address: str) -> str | None:
        """Why a connection may not be used; None if it may.

        Args:
            host: as the plugin wrote it.
            address: the numeric address that was connected to.
        """
        found = _inner(ipaddress.ip_address(address.partition("%")[0]))
        if found.is_global and not found.is_multicast and (found.version == 4 or found in _PUBLIC_6):
            return None
        meant = host.strip("[]").lower() in self.named and _says_where(host) and not found.is_link_local
        if self.private == "always" or (self.private == "named" and meant):
            return None
        fix = "set MONITOR_ALERT_PRIVATE=always if it is meant"
        return f"{host} is not a public address ({found}); {fix}"

    def problem_at(self, address: str) -> str | None:
        """Why no socket may connect or send to a numeric address; None if one may."""
        found = ipaddress.ip_address(address.partition("%")[0])
        means = [host for host in self.named if _says_where(host) and _leads_to(host, found)]
        return self.problem(next(iter([*means, *self.named]), address), address)


_policy: ContextVar[Policy] = ContextVar("policy")


def current() -> Policy | None:
    """The policy in force in this context."""
    return _policy.get(None)


@contextlib.contextmanager
def guarded(policy: Policy) -> Iterator[None]:
    """Apply a policy to the requests of this thread."""
    policy.refused = policy.answered = None
    before = _policy.set(policy)
    try:
        yield
    finally:
        _policy.reset(before)
        for timer in policy.timers:
            timer.cancel()
        policy.timers.clear()


def guard_apprise() -> None:
    """Substitute the guarded library in all Apprise modules loaded so far, and guard sockets and files."""
    import requests

    ours = library()
    _guard_sockets_and_files()
    for name, module in list(sys.modules.items()):
        if name.startswith("apprise.") and getattr(module, "requests", None) is requests:
            module.requests = ours  # type: ignore[attr-defined]  # it has one


@functools.cache
def _guard_sockets_and_files() -> None:
    from apprise.attachment.file import AttachFile

    download = AttachFile.download

    def guarded_download(self: Any, **options: Any) -> Any:
        policy = _policy.get(None)
        if policy is None or policy.trusted:
            return download(self, **options)
        policy.refused = "its URL names a file of the server; a channel in monitor.toml may read one"
        return False

    AttachFile.download = guarded_download
    sys.addaudithook(_audit)  # Python tells it of every socket, and it can refuse


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        return
    policy = _policy.get(None)
    if policy is None or policy.trusted or arguments[1] is None:
        return
    problem = _problem_of(policy, arguments[1])
    if problem is not None:
        policy.refused = problem
        arguments[0].close()  # not every plugin does
        raise socket.gaierror(socket.EAI_FAIL, problem)  # which they all expect


def _problem_of(policy: Policy, place: object) -> str | None:
    """Why a socket may not connect or send to a place; None if it may."""
    if not isinstance(place, tuple):
        return "a socket of the server's machine is only for channels in monitor.toml"
    host, port = place[:2]
    for found in _places(host, port):  # resolves what is not numeric yet
        problem = policy.problem_at(found[0])
        if problem is not None and found not in _proxies():
            return problem
    return None


def _places(host: str | None, port: int | None) -> set[tuple[str, int]]:
    """The numeric addresses and the port that a host leads to."""
    return {(str(found[4][0]), int(found[4][1])) for found in socket.getaddrinfo(host, port)}


def _proxies() -> set[tuple[str, int]]:
    """Where the environment's HTTP proxies are, which decide themselves."""
    found: set[tuple[str, int]] = set()
    for url in urllib.request.getproxies().values():
        parts = urllib.parse.urlsplit(url)
        with contextlib.suppress(OSError, ValueError):
            found |= _places(parts.hostname, parts.port or 80)
    return found


def _inner(address: _Address) -> _Address:
    """The IPv4 address embedded in an IPv6 address, if any; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _says_where(host: str) -> bool:
    """True for numeric addresses and localhost; any other name points wherever its DNS says."""
    host = host.strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _leads_to(host: str, address: _Address) -> bool:
    """True if a host that says where it is, says this address."""
    try:
        return ipaddress.ip_address(host) == address
    except ValueError:
        return address.is_loopback


_REASONS: Final = {
    "NameResolutionError": "its name cannot be resolved",
    "NewConnectionError": "nothing takes connections there",
    "ConnectTimeoutError": "it does not answer",
    "ReadTimeoutError": "it does not answer",
    "SSLError": "its certificate cannot be verified, or it does not speak TLS",
}


def reason(error: BaseException) -> str:
    """Why a request failed, without its URL, whose path may be a secret."""
    found: object = error
    while found is not None:
        said = _REASONS.get(type(found).__name__)
        if said is not None:
            return said
        cause = getattr(found, "reason", None) or next(iter(getattr(found, "args", ())), None)
        found = cause if isinstance(cause, BaseException) else None
    return f"no answer ({type(error).__name__})"


def refusal(status: int) -> str | None:
    """Why a response with this status means failure, with the fix; None for success.

    >>> refusal(204), refusal(500), refusal(302)
    (None, 'it answered 500', 'it answered 302, a redirect, which is not followed; give the address that it leads to')
    """
    if status < 300:
        return None
    if status < 400:
        return f"it answered {status}, a redirect, which is not followed; give the address that it leads to"
    fix = {401: "token or password", 403: "token or password", 404: "address", 410: "address"}.get(status)
    return f"it answered {status}" + (f"; check the {fix} in its URL" if fix else "")


_made: list[ModuleType] = []


def library() -> ModuleType:
    """A substitute for `requests` that sends through a guarded session; made once."""
    import requests

    if _made:
        return _made[0]
    session = _session_class(requests)
    made = ModuleType("requests", requests.__doc__)
    made.__dict__.update({name: value for name, value in vars(requests).items() if not name.startswith("__")})

    def request(method: str, url: str, **options: Any) -> requests.Response:
        with session() as one:
            found: requests.Response = one.request(method, url, **options)
            return found

    def of(method: str) -> Any:
        return lambda url, **options: request(method, url, **options)

    words = ("get", "post", "put", "patch", "delete", "head", "options")
    made.__dict__.update({"Session": session, "session": session, "request": request, **{w: of(w) for w in words}})
    _made.append(made)
    return made


def _session_class(requests: Any) -> Any:
    adapter = _adapter_class(requests)

    class Session(requests.Session):  # type: ignore[misc]  # a library without types
        """Follows no redirects and reads at most `ANSWER` bytes."""

        def __init__(self) -> None:
            super().__init__()
            self.mount("http://", adapter())
            self.mount("https://", adapter())

        def request(self, method: str, url: str, **options: Any) -> Any:
            """Send a request; a redirect is returned as the response."""
            timeout = options.get("timeout") or TIMEOUT_S
            options |= {"allow_redirects": False, "timeout": timeout, "stream": True}
            policy = _policy.get(None)
            try:
                response = super().request(method, url, **options)
            except requests.exceptions.RequestException as error:
                if policy is not None:  # plugins say little of it
                    policy.refused = policy.refused or reason(error)
                raise
            content = b""
            for part in response.iter_content(65536):
                content += part
                if len(content) > ANSWER:
                    response.close()
                    raise requests.exceptions.ContentDecodingError(f"the answer is longer than {ANSWER} bytes")
            if policy is not None and policy.refused:  # an answer that was cut may look whole
                raise requests.exceptions.ReadTimeout(policy.refused)
            response._content, response._content_consumed = content, True
            if policy is not None:
                policy.answered = refusal(response.status_code)
            return response

    return Session


def _adapter_class(requests: Any) -> Any:
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import NewConnectionError
    from urllib3.poolmanager import PoolManager

    def checked(connection: Any, sock: Any) -> Any:
        policy = _policy.get(None) or Policy()
        problem = policy.problem(connection.host, sock.getpeername()[0])
        policy.refused = problem
        if problem is not None:
            sock.close()
            raise NewConnectionError(connection, problem)
        connection.open = [sock]
        timer = threading.Timer(WITHIN_S, _cut, [connection, policy])
        timer.daemon = True
        timer.start()
        policy.timers.append(timer)
        return sock

    class Plain(HTTPConnection):
        def _new_conn(self) -> Any:
            return checked(self, super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> Any:
            return checked(self, super()._new_conn())

        def connect(self) -> None:
            super().connect()
            self.open: list[Any] = [self.sock]  # the one over the other, which it has taken the place of

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    class Adapter(requests.adapters.HTTPAdapter):  # type: ignore[misc]  # a library without types
        """Checks the peer's address. Behind a proxy, the peer is the proxy, which decides."""

        def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
            self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    return Adapter


def _cut(connection: Any, policy: Policy) -> None:
    """End a connection that takes too long."""
    policy.refused = f"{connection.host} did not answer within {WITHIN_S:g} s"
    for sock in connection.open:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
