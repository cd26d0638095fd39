"""The gRPC port: KServe's v2 service, ``grpc.health.v1`` and reflection, with the limits and the
TLS of the settings. KServe's own server has no TLS, no health service and no graceful end.
"""

from typing import Any, Final, Never

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health
from grpc_interceptor import AsyncExceptionToStatusInterceptor
from grpc_reflection.v1alpha import reflection
from kserve.errors import InvalidInput
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services
from kserve.protocol.grpc.servicer import InferenceServicer

from ..errors import InvalidRequest, KilnError, UnknownVersion, Unsupported
from ..settings import Settings
from ..telemetry.logs import get_logger
from ..telemetry.tracing import enter_trace
from ..transport import calling
from ..transport.listening import GrpcPort, PortOptions, credentials
from . import card
from .context import Serving
from .outcomes import counted
from .tensors import DATATYPES
from .v2_wire import BINARY_SIZE, LONGEST_ID

log = get_logger(__name__)

SERVICE: Final = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
STATUS_DETAILS: Final = "grpc-status-details-bin"
# Of the drain delay. Even a connection that came just before its load balancer took notice is then
# told in time: gRPC varies the age by a tenth.
RENEWED_AFTER: Final = 0.4
LARGEST_OPTION: Final = 2**31 - 1


def renewal(drain_delay: float) -> tuple[tuple[str, int], ...]:
    """C16: a connection is to end, between two calls, before the port does: a server that stops
    cancels the calls that are on their way to it. gRPC has no way to send clients away on demand,
    only by the age of their connection, so that all of them are renewed all the time. Calls that
    run go on, and a client notices nothing.
    """
    age = min(int(drain_delay * RENEWED_AFTER * 1000), LARGEST_OPTION)
    return (("grpc.max_connection_age_ms", age),) if age else ()


def channel_options(settings: Settings) -> tuple[tuple[str, int], ...]:
    """gRPC's own, of a server that draws for users."""
    return (
        ("grpc.max_receive_message_length", settings.grpc_max_receive_message_length),
        ("grpc.max_send_message_length", settings.grpc_max_send_message_length),
        # Two servers on one port would share it in silence.
        ("grpc.so_reuseport", 0),
        *renewal(settings.drain_delay),
    )


class GrpcServer(GrpcPort):
    """The port as the settings want it. A role's has stages beside the rest."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        stages, settings = serving.stages, serving.settings
        names = (SERVICE, calling.SERVICE) if stages else (SERVICE,)
        super().__init__(
            PortOptions(
                names=(*names, serving.name),
                channel=calling.SERVER_OPTIONS if stages else channel_options(settings),
                credentials=_credentials(settings),
                interceptors=(ErrorStatus(),),
            )
        )
        services.add_GRPCInferenceServiceServicer_to_server(Servicer(serving), self.server)
        if stages:
            self.serving(stages.handler())
        reflected = (*names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(reflected, self.server)

    async def open(self) -> int:
        """Start where the settings say; the port's number.

        Raises:
            PortInUse: somebody else has it.
        """
        settings = self._serving.settings
        return await self.start(settings.host, settings.grpc_port, self._serving.state.current)


class Servicer(InferenceServicer):  # type: ignore[misc]
    """KServe's, where its data plane is enough."""

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving.data_plane, None)
        self._serving = serving

    @classmethod
    def validate_grpc_request(cls, request: Any) -> None:
        """KServe's checks, and ours of what its conversion fails at namelessly or lets pass.

        Raises:
            InvalidRequest: naming the part of the message that is wrong.
        """
        super().validate_grpc_request(request)
        if len(request.id) > LONGEST_ID:
            raise InvalidRequest("id", f"must be text of at most {LONGEST_ID} characters")
        for name, value in request.parameters.items():
            if value.WhichOneof("parameter_choice") is None:
                raise InvalidRequest(name[:100], "has no value")
        for tensor in request.inputs:
            if tensor.datatype not in DATATYPES:
                raise InvalidRequest(
                    tensor.name[:100], f"datatype must be one of {', '.join(DATATYPES)}"
                )
            for name in tensor.parameters:
                if name != BINARY_SIZE:
                    raise InvalidRequest(f"{tensor.name[:100]}.{name[:100]}", "is not supported")

    async def ServerLive(self, request: Any, context: Any) -> Any:
        return messages.ServerLiveResponse(live=self._serving.state.live)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        found = await self._serving.data_plane.model_metadata(request.name)
        return messages.ModelMetadataResponse(**found)

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        enter_trace(context.invocation_metadata() or ())
        with counted(self._serving.metrics, "v2-grpc"):
            known = card.versions(self._serving)
            if request.model_version and known and request.model_version not in known:
                raise UnknownVersion(request.model_version, known[0])
            return await super().ModelInfer(request, context)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:
        raise Unsupported("loading models by request is off: the model is chosen at start")

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:
        raise Unsupported("unloading models by request is off: the model is chosen at start")


class ErrorStatus(AsyncExceptionToStatusInterceptor):
    """Every exception as the status that its class names, with RetryInfo where a retry helps."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        # Stages say themselves what went wrong, so that their caller gets the same class.
        if handler_call_details.method.startswith(f"/{calling.SERVICE}/"):
            return await continuation(handler_call_details)
        return await super().intercept_service(  # type: ignore[no-untyped-call]
            continuation, handler_call_details
        )

    async def handle_exception(
        self, ex: Exception, request_or_iterator: Any, context: Any, method_name: str
    ) -> Never:
        if isinstance(ex, KilnError):
            code = grpc.StatusCode[ex.grpc_code]
            await context.abort(code, str(ex), _retry_metadata(code, str(ex), ex.retry_after))
        elif isinstance(ex, InvalidInput):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, ex.reason)
        elif isinstance(ex, grpc.aio.AbortError):
            raise ex
        log.error("grpc_failed", method=method_name, exc_info=ex)
        await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has it")
        raise ex  # abort() raises; this tells the type checker


def _retry_metadata(code: Any, message: str, seconds: float | None) -> tuple[Any, ...]:
    if seconds is None:
        return ()
    packed = Packed()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=int(seconds))))
    status = Status(code=code.value[0], message=message, details=[packed])
    return (
        (STATUS_DETAILS, status.SerializeToString()),
        ("retry-after", f"{seconds:.0f}"),
    )


def _credentials(settings: Settings) -> Any:
    if settings.ssl_certfile is None or settings.ssl_keyfile is None:
        return None
    return credentials(settings.ssl_certfile, settings.ssl_keyfile)
