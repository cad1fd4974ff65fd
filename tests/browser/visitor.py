"""A visitor without a browser: one run of a page, over the WebSocket that Streamlit speaks."""

from dataclasses import dataclass, field

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
        finished = message.script_finished
        return message.WhichOneof("type") == "script_finished" and (
            finished == ForwardMsg.FINISHED_SUCCESSFULLY
        )


def visit(address: str, page: str, query: str, timeout: float) -> Seen:
    """Open a page and wait until its script has run."""
    url = address.replace("http://", "ws://") + "/_stcore/stream"
    request = BackMsg()
    request.rerun_script.query_string = query
    request.rerun_script.page_name = page
    seen = Seen()
    with connect(url, subprotocols=["streamlit"], max_size=None, open_timeout=timeout) as socket:
        socket.send(request.SerializeToString())
        while True:
            message = ForwardMsg()
            message.ParseFromString(socket.recv(timeout=timeout))
            if seen.add(message):
                return seen
