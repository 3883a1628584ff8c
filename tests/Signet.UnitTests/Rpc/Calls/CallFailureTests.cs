using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Rpc.Calls;

namespace Signet.UnitTests.Rpc.Calls;

public sealed class CallFailureTests
{
    [Theory]
    [InlineData(0x1, StatusCode.Unavailable)]
    [InlineData(0x2, StatusCode.Internal)]
    [InlineData(0x3, StatusCode.Internal)]
    [InlineData(0x7, StatusCode.Unavailable)]
    [InlineData(0x8, StatusCode.Cancelled)]
    [InlineData(0xb, StatusCode.ResourceExhausted)]
    [InlineData(0xc, StatusCode.PermissionDenied)]
    [InlineData(0x0, StatusCode.Unavailable)]
    public void A_reset_stream_means_what_the_protocol_says(long code, StatusCode expected)
    {
        var failure = new IOException("reading failed", new HttpProtocolException(code, "reset", null));
        Assert.Equal(expected, CallFailure.Of(failure, "unix:/x").StatusCode);
    }

    [Fact]
    public void A_connection_that_can_not_be_made_is_unavailable_and_named()
    {
        var status = CallFailure.Of(new HttpRequestException("outer", new SocketException((int)SocketError.ConnectionRefused)), "example.org:8081");
        Assert.Equal(StatusCode.Unavailable, status.StatusCode);
        Assert.StartsWith("example.org:8081: ", status.Detail, StringComparison.Ordinal);
        Assert.DoesNotContain("outer", status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(HttpStatusCode.BadRequest, StatusCode.Internal)]
    [InlineData(HttpStatusCode.Unauthorized, StatusCode.Unauthenticated)]
    [InlineData(HttpStatusCode.Forbidden, StatusCode.PermissionDenied)]
    [InlineData(HttpStatusCode.NotFound, StatusCode.Unimplemented)]
    [InlineData(HttpStatusCode.TooManyRequests, StatusCode.Unavailable)]
    [InlineData(HttpStatusCode.BadGateway, StatusCode.Unavailable)]
    [InlineData(HttpStatusCode.ServiceUnavailable, StatusCode.Unavailable)]
    [InlineData(HttpStatusCode.GatewayTimeout, StatusCode.Unavailable)]
    [InlineData(HttpStatusCode.Moved, StatusCode.Unknown)]
    public void A_response_that_is_not_grpc_is_judged_by_its_http_status(HttpStatusCode http, StatusCode expected) =>
        Assert.Equal(expected, CallFailure.Of(http).StatusCode);
}
