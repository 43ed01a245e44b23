"""What the S3 client uses of boto3, loaded when it is first used.

Loading takes a tenth of the time in which a program of the hub starts, and a web process signs
addresses without boto3.
"""

import threading
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config as Config
    from botocore.exceptions import BotoCoreError as BotoCoreError
    from botocore.exceptions import ClientError as ClientError
    from botocore.exceptions import ConnectionError as ConnectionError
    from botocore.exceptions import HTTPClientError as HTTPClientError
    from botocore.exceptions import IncompleteReadError as IncompleteReadError
    from botocore.exceptions import ParamValidationError as ParamValidationError
    from botocore.exceptions import ResponseStreamingError as ResponseStreamingError
    from botocore.exceptions import SSLError as SSLError
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client

_of_thread = threading.local()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    module = "botocore.config" if name == "Config" else "botocore.exceptions"
    return getattr(import_module(module), name)


def make_s3_client(**options: Any) -> "S3Client":
    """Return a client with these options of ``boto3.client``."""
    client: S3Client = _get_session().client("s3", **options)
    return client


def _get_session() -> "Session":
    """Return this thread's session: threads may not share one, and it takes long to make."""
    from boto3.session import Session
    from botocore.session import get_session

    if not hasattr(_of_thread, "session"):
        core = get_session()
        core.register_component("data_loader", _get_api_descriptions())
        _of_thread.session = Session(botocore_session=core)
    session: Session = _of_thread.session
    return session


@cache
def _get_api_descriptions() -> "Loader":
    """Return megabytes of JSON, shared since boto3 would read them again for each client."""
    from botocore.loaders import create_loader

    return create_loader()
