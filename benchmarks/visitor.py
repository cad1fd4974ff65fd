"""A visitor without a browser: runs of pages, over the WebSocket that Streamlit speaks."""

from dataclasses import dataclass, field
from types import TracebackType

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect


@dataclass
class Seen:
    """What a run of a page sent."""

    html: list[str] = field(default_factory=list)
    components: int = 0
    exceptions: list[str] = field(default_factory=list)

    def add(self, message: ForwardMsg) -> bool:
        """Take note of a message; whether it says that the run is over."""
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "html":
            self.html.append(element.html.body)
        elif kind == "exception":
            self.exceptions.append(element.exception.message)
        elif kind == "bidi_component":
            self.components += 1
        is_end = message.WhichOneof("type") == "script_finished"
        return is_end and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY


class Visitor:
    """One session of the app at an address; at most `timeout` seconds between two messages."""

    def __init__(self, address: str, timeout: float = 120.0) -> None:
        self._timeout = timeout
        url = address.replace("http://", "ws://") + "/_stcore/stream"
        self._connection = connect(
            url, subprotocols=["streamlit"], max_size=None, open_timeout=timeout
        )

    def __enter__(self) -> "Visitor":
        self._socket = self._connection.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.__exit__(kind, error, trace)

    def see(self, page: str, query: str) -> Seen:
        """Open a page with a query string and wait until its script has run."""
        request = BackMsg()
        request.rerun_script.query_string = query
        request.rerun_script.page_name = page
        self._socket.send(request.SerializeToString())
        seen = Seen()
        while True:
            message = ForwardMsg()
            message.ParseFromString(self._socket.recv(timeout=self._timeout))
            if seen.add(message):
                return seen
