using Grpc.Core;

namespace Signet.Hosting.Grpc;

/// <summary>Runs before each call of a service, before its first message is read. It refuses by throwing.</summary>
/// <exception cref="RpcException">The call ends with this status; the handler never runs.</exception>
public delegate ValueTask GrpcCallFilter(ServerCallContext context);
