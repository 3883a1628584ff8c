using Google.Protobuf.Reflection;
using Grpc.Core;
using Signet.Hosting.Grpc.Calls;
using Signet.Hosting.Grpc.Reflection;
using Alpha = Signet.Rpc.Wire.Reflection.Alpha;
using V1 = Signet.Rpc.Wire.Reflection;

namespace Signet.Hosting.Grpc;

/// <summary>The gRPC services of an application, collected while it starts.</summary>
public sealed class GrpcServices
{
    private readonly GrpcServerOptions _options;
    private readonly List<ServiceDescriptor> _descriptors = [];
    private readonly Dictionary<string, MethodHandler> _methods = new(StringComparer.Ordinal);

    internal GrpcServices(GrpcServerOptions options) => _options = options;

    internal IReadOnlyDictionary<string, MethodHandler> Methods => _methods;

    internal IEnumerable<string> Names => _descriptors.Select(service => service.FullName);

    /// <summary>Adds a service.</summary>
    /// <param name="descriptor">What it is: the generated <c>Descriptor</c>.</param>
    /// <param name="service">What it does: the result of the generated <c>BindService(implementation)</c>. One object serves all calls.</param>
    /// <param name="filter">Runs before each of its calls.</param>
    /// <exception cref="InvalidOperationException">The service was added before.</exception>
    public GrpcServices Add(ServiceDescriptor descriptor, ServerServiceDefinition service, GrpcCallFilter? filter = null)
    {
        if (_descriptors.Contains(descriptor))
        {
            throw new InvalidOperationException($"the service {descriptor.FullName} was added twice");
        }

        _descriptors.Add(descriptor);
        service.BindService(new MethodHandlerBinder(_methods, _options, filter));
        return this;
    }

    /// <summary>Adds server reflection, v1 and v1alpha, over the services added so far and itself.</summary>
    /// <param name="filter">Runs before each of its calls.</param>
    public GrpcServices AddReflection(GrpcCallFilter? filter = null)
    {
        var v1 = V1.ServerReflection.Descriptor;
        var alpha = Alpha.ServerReflection.Descriptor;
        var service = new GrpcReflectionService(new DescriptorIndex([.. _descriptors, v1, alpha]));
        Add(v1, V1.ServerReflection.BindService(service), filter);
        return Add(alpha, Alpha.ServerReflection.BindService(new GrpcReflectionAlphaService(service)), filter);
    }
}
