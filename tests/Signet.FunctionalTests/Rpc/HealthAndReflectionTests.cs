using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Signet.Rpc.Wire.Health;
using Signet.Testing.Rpc;
using Alpha = Signet.Rpc.Wire.Reflection.Alpha;
using ServingStatus = Signet.Rpc.Wire.Health.HealthCheckResponse.Types.ServingStatus;
using V1 = Signet.Rpc.Wire.Reflection;

namespace Signet.FunctionalTests.Rpc;

public sealed class HealthAndReflectionTests
{
    [Fact]
    public async Task Health_says_what_was_set_and_nothing_of_the_unknown()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var client = new Health.HealthClient(channel);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(async () => await client.CheckAsync(new HealthCheckRequest()))).StatusCode);
        server.Health.Set("", ServingStatus.Serving);
        server.Health.Set("a.B", ServingStatus.NotServing);
        Assert.Equal(ServingStatus.Serving, (await client.CheckAsync(new HealthCheckRequest())).Status);
        Assert.Equal(ServingStatus.NotServing, (await client.CheckAsync(new HealthCheckRequest { Service = "a.B" })).Status);
        var all = await client.ListAsync(new HealthListRequest());
        Assert.Equal(["", "a.B"], all.Statuses.Keys.Order());
    }

    [Fact]
    public async Task Watchers_hear_of_each_change_once()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        using var call = new Health.HealthClient(channel).Watch(new HealthCheckRequest { Service = "a.B" });
        Assert.Equal(ServingStatus.ServiceUnknown, await Next());
        server.Health.Set("a.B", ServingStatus.Serving);
        Assert.Equal(ServingStatus.Serving, await Next());
        server.Health.Set("a.B", ServingStatus.Serving);
        server.Health.Set("other", ServingStatus.Serving);
        server.Health.Set("a.B", ServingStatus.NotServing);
        Assert.Equal(ServingStatus.NotServing, await Next());

        async Task<ServingStatus> Next() =>
            await call.ResponseStream.MoveNext(CancellationToken.None) ? call.ResponseStream.Current.Status : throw new EndOfStreamException();
    }

    [Fact]
    public async Task Reflection_lists_the_services_and_gives_every_file_a_client_needs()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var client = new V1.ServerReflection.ServerReflectionClient(channel);
        var services = (await Ask(client, new V1.ServerReflectionRequest { ListServices = "" })).ListServicesResponse.Service.Select(service => service.Name);
        Assert.Equal(
            ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "signet.testing.v1.Echo"],
            services);

        var answer = await Ask(client, new V1.ServerReflectionRequest { FileContainingSymbol = "signet.testing.v1.Echo" });
        var files = FileDescriptor.BuildFromByteStrings(answer.FileDescriptorResponse.FileDescriptorProto.Reverse());
        Assert.Equal("Unary", files[^1].Services.Single().Methods[0].Name);
    }

    [Theory]
    [InlineData("signet.testing.v1.Echo.Chat")]
    [InlineData("signet.testing.v1.EchoRequest")]
    [InlineData("signet.testing.v1.EchoRequest.Behaviour")]
    [InlineData("signet.testing.v1.EchoRequest.text")]
    public async Task Reflection_finds_what_a_file_declares(string symbol)
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var answer = await Ask(new V1.ServerReflection.ServerReflectionClient(channel), new V1.ServerReflectionRequest { FileContainingSymbol = symbol });
        Assert.Single(answer.FileDescriptorResponse.FileDescriptorProto);
        Assert.Equal(symbol, answer.OriginalRequest.FileContainingSymbol);
    }

    [Fact]
    public async Task Reflection_says_not_found_to_what_it_does_not_know()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        var client = new V1.ServerReflection.ServerReflectionClient(channel);
        Assert.Equal(5, (await Ask(client, new V1.ServerReflectionRequest { FileByFilename = "nope.proto" })).ErrorResponse.ErrorCode);
        Assert.Equal(5, (await Ask(client, new V1.ServerReflectionRequest { FileContainingSymbol = "no.Pe" })).ErrorResponse.ErrorCode);
        Assert.Equal(5, (await Ask(client, new V1.ServerReflectionRequest { FileContainingExtension = new V1.ExtensionRequest { ContainingType = "no.Pe" } })).ErrorResponse.ErrorCode);
        Assert.Equal(3, (await Ask(client, new V1.ServerReflectionRequest())).ErrorResponse.ErrorCode);
    }

    [Fact]
    public async Task The_older_reflection_answers_the_same()
    {
        await using var server = await RpcTestServer.StartAsync();
        using var channel = server.UnixChannel();
        using var call = new Alpha.ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo();
        await call.RequestStream.WriteAsync(new Alpha.ServerReflectionRequest { Host = "h", FileByFilename = "grpc/health/v1/health.proto" });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal("h", call.ResponseStream.Current.OriginalRequest.Host);
        var file = FileDescriptorProto.Parser.ParseFrom(call.ResponseStream.Current.FileDescriptorResponse.FileDescriptorProto.Single());
        Assert.Equal("grpc.health.v1", file.Package);
    }

    private static async Task<V1.ServerReflectionResponse> Ask(V1.ServerReflection.ServerReflectionClient client, V1.ServerReflectionRequest request)
    {
        using var call = client.ServerReflectionInfo();
        await call.RequestStream.WriteAsync(request);
        await call.RequestStream.CompleteAsync();
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        return call.ResponseStream.Current;
    }
}
