"""Static files for the test client, without the event loop that ServeStatic starts for each request."""

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.utils.decorators import sync_and_async_middleware
from servestatic.middleware import ServeStaticMiddleware


@sync_and_async_middleware
def middleware(get_response):
    """Answer as ServeStatic does. Between synchronous middleware, only requests for files start a loop."""
    if iscoroutinefunction(get_response):
        return ServeStaticMiddleware(get_response)

    async def is_missing(request):
        raise AssertionError("only requests for files come here")

    static = ServeStaticMiddleware(is_missing)
    serve = async_to_sync(static)

    def answer(request):
        return serve(request) if request.path_info in static.files else get_response(request)

    return answer
