using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Rpc.Wire.Spiffe;
using Entry = Signet.Rpc.Wire.Spire.Types.Entry;
using Istio = Signet.Rpc.Wire.Istio;
using Kubernetes = Signet.Rpc.Wire.Kubernetes;
using Mcp = Signet.Rpc.Wire.Istio.Mcp;

namespace Signet.UnitTests.Rpc.Wire;

/// <summary>The contracts as others know them: paths and bytes, not C#.</summary>
public sealed class ContractTests
{
    public static TheoryData<ServiceDescriptor, string> Services => new()
    {
        {
            SpiffeWorkloadAPI.Descriptor,
            "SpiffeWorkloadAPI: FetchX509SVID> FetchX509Bundles> FetchJWTSVID FetchJWTBundles> ValidateJWTSVID "
            + "FetchWITSVID> FetchWITBundles>"
        },
        {
            Signet.Rpc.Wire.Envoy.Secret.SecretDiscoveryService.Descriptor,
            "envoy.service.secret.v3.SecretDiscoveryService: <DeltaSecrets> <StreamSecrets> FetchSecrets"
        },
        {
            AggregatedDiscoveryService.Descriptor,
            "envoy.service.discovery.v3.AggregatedDiscoveryService: <StreamAggregatedResources> <DeltaAggregatedResources>"
        },
        {
            Signet.Rpc.Wire.Spire.Server.Agent.Agent.Descriptor,
            "spire.api.server.agent.v1.Agent: CountAgents ListAgents GetAgent DeleteAgent BanAgent <AttestAgent> RenewAgent "
            + "CreateJoinToken PostStatus"
        },
        {
            Signet.Rpc.Wire.Spire.Server.SVID.SVID.Descriptor,
            "spire.api.server.svid.v1.SVID: MintX509SVID MintJWTSVID BatchNewX509SVID NewJWTSVID NewDownstreamX509CA "
            + "MintWITSVID BatchNewWITSVID"
        },
        {
            Signet.Rpc.Wire.Spire.Server.Entry.Entry.Descriptor,
            "spire.api.server.entry.v1.Entry: CountEntries ListEntries GetEntry BatchCreateEntry BatchUpdateEntry "
            + "BatchDeleteEntry GetAuthorizedEntries <SyncAuthorizedEntries>"
        },
        {
            Signet.Rpc.Wire.Spire.Server.Bundle.Bundle.Descriptor,
            "spire.api.server.bundle.v1.Bundle: CountBundles GetBundle AppendBundle PublishJWTAuthority PublishWITAuthority "
            + "ListFederatedBundles GetFederatedBundle BatchCreateFederatedBundle BatchUpdateFederatedBundle "
            + "BatchSetFederatedBundle BatchDeleteFederatedBundle"
        },
        { Signet.Rpc.Wire.Containerd.Containers.Containers.Descriptor, "containerd.services.containers.v1.Containers: Get" },
        { Signet.Rpc.Wire.Containerd.Tasks.Tasks.Descriptor, "containerd.services.tasks.v1.Tasks: Get" },
        {
            Signet.Rpc.Wire.Spire.Agent.DelegatedIdentity.DelegatedIdentity.Descriptor,
            "spire.api.agent.delegatedidentity.v1.DelegatedIdentity: SubscribeToX509SVIDs> SubscribeToX509Bundles> FetchJWTSVIDs SubscribeToJWTBundles>"
        },
        { Signet.Rpc.Wire.Spire.Agent.Debug.Debug.Descriptor, "spire.agent.debug.v1.Debug: GetInfo" },
        { Signet.Rpc.Wire.Broker.API.Descriptor, "spiffe.broker.API: SubscribeToX509SVID> SubscribeToX509Bundles> FetchJWTSVID SubscribeToJWTBundles>" },
        { Signet.Rpc.Wire.Health.Health.Descriptor, "grpc.health.v1.Health: Check List Watch>" },
        { Signet.Rpc.Wire.Reflection.ServerReflection.Descriptor, "grpc.reflection.v1.ServerReflection: <ServerReflectionInfo>" },
        { Signet.Rpc.Wire.Reflection.Alpha.ServerReflection.Descriptor, "grpc.reflection.v1alpha.ServerReflection: <ServerReflectionInfo>" },
        { Signet.Rpc.Wire.Node.Node.Descriptor, "signet.node.v1.Node: <Watch> Staple" },
        { Signet.Rpc.Wire.Mesh.Mesh.Descriptor, "signet.mesh.v1.Mesh: <Watch>" },
        { Mcp.ResourceSource.Descriptor, "istio.mcp.v1alpha1.ResourceSource: <EstablishResourceStream>" },
    };

    [Theory]
    [MemberData(nameof(Services), DisableDiscoveryEnumeration = true)]
    public void Services_have_their_published_names_and_methods(ServiceDescriptor service, string expected)
    {
        var methods = service.Methods.Select(method => $"{(method.IsClientStreaming ? "<" : "")}{method.Name}{(method.IsServerStreaming ? ">" : "")}");
        Assert.Equal(expected, $"{service.FullName}: {string.Join(' ', methods)}");
    }

    public static TheoryData<MessageDescriptor, string> Messages => new()
    {
        { X509SVIDResponse.Descriptor, "svids=1 crl=2 federated_bundles=3" },
        { X509SVID.Descriptor, "spiffe_id=1 x509_svid=2 x509_svid_key=3 bundle=4 hint=5" },
        { JWTSVID.Descriptor, "spiffe_id=1 svid=2 hint=3" },
        { WITSVID.Descriptor, "spiffe_id=1 wit_svid=2 wit_svid_key=3 hint=4" },
        { X509BundlesResponse.Descriptor, "crl=1 bundles=2" },
        { Signet.Rpc.Wire.Spire.Agent.DelegatedIdentity.SubscribeToX509SVIDsRequest.Descriptor, "selectors=1 pid=2" },
        { Signet.Rpc.Wire.Spire.Agent.DelegatedIdentity.SubscribeToX509SVIDsResponse.Descriptor, "x509_svids=1 federates_with=2" },
        { Signet.Rpc.Wire.Spire.Agent.DelegatedIdentity.FetchJWTSVIDsRequest.Descriptor, "audience=1 selectors=2 pid=3" },
        { Signet.Rpc.Wire.Broker.FetchJWTSVIDRequest.Descriptor, "reference=1 audience=2 spiffe_id=3" },
        { Signet.Rpc.Wire.Broker.SubscribeToX509SVIDResponse.Descriptor, "svids=1 crl=2 federated_bundles=3" },
        { Signet.Rpc.Wire.Broker.X509SVID.Descriptor, "spiffe_id=1 x509_svid=2 x509_svid_key=3 bundle=4 hint=5" },
        { Signet.Rpc.Wire.Broker.SubscribeToX509BundlesResponse.Descriptor, "crl=1 bundles=2" },
        { Signet.Rpc.Wire.Broker.SubscribeToJWTBundlesResponse.Descriptor, "bundles=1" },
        { ValidateJWTSVIDResponse.Descriptor, "spiffe_id=1 claims=2" },
        { DiscoveryRequest.Descriptor, "version_info=1 node=2 resource_names=3 type_url=4 response_nonce=5 error_detail=6 resource_locators=7" },
        { DiscoveryResponse.Descriptor, "version_info=1 resources=2 canary=3 type_url=4 nonce=5 control_plane=6 resource_errors=7" },
        {
            DeltaDiscoveryRequest.Descriptor,
            "node=1 type_url=2 resource_names_subscribe=3 resource_names_unsubscribe=4 initial_resource_versions=5 "
            + "response_nonce=6 error_detail=7 resource_locators_subscribe=8 resource_locators_unsubscribe=9"
        },
        {
            DeltaDiscoveryResponse.Descriptor,
            "system_version_info=1 resources=2 type_url=4 nonce=5 removed_resources=6 control_plane=7 "
            + "removed_resource_names=8 resource_errors=9"
        },
        { Resource.Descriptor, "version=1 resource=2 name=3 aliases=4 ttl=6 cache_control=7 resource_name=8 metadata=9" },
        { Secret.Descriptor, "name=1 tls_certificate=2 session_ticket_keys=3 validation_context=4 generic_secret=5" },
        {
            TlsCertificate.Descriptor,
            "certificate_chain=1 private_key=2 password=3 ocsp_staple=4 signed_certificate_timestamp=5 "
            + "private_key_provider=6 watched_directory=7 pkcs12=8"
        },
        {
            CertificateValidationContext.Descriptor,
            "trusted_ca=1 verify_certificate_hash=2 verify_certificate_spki=3 require_signed_certificate_timestamp=6 crl=7 "
            + "allow_expired_certificate=8 match_subject_alt_names=9 trust_chain_verification=10 watched_directory=11 "
            + "custom_validator_config=12 ca_certificate_provider_instance=13 only_verify_leaf_cert_crl=14 "
            + "match_typed_subject_alt_names=15 max_verify_depth=16 system_root_certs=17"
        },
        { SPIFFECertValidatorConfig.Descriptor, "trust_domains=1 trust_bundles=2" },
        { DataSource.Descriptor, "filename=1 inline_bytes=2 inline_string=3 environment_variable=4 watched_directory=5" },
        {
            Node.Descriptor,
            "id=1 cluster=2 metadata=3 locality=4 user_agent_name=6 user_agent_version=7 user_agent_build_version=8 "
            + "extensions=9 client_features=10"
        },
        {
            Entry.Descriptor,
            "id=1 spiffe_id=2 parent_id=3 selectors=4 x509_svid_ttl=5 federates_with=6 admin=7 downstream=8 expires_at=9 "
            + "dns_names=10 revision_number=11 store_svid=12 jwt_svid_ttl=13 hint=14 created_at=15 svid_key_type=1000 svid_subject=1001 svid_names=1002"
        },
        { Mcp.RequestResources.Descriptor, "sink_node=1 collection=2 initial_resource_versions=3 response_nonce=4 error_detail=5 incremental=6" },
        { Mcp.Resources.Descriptor, "system_version_info=1 collection=2 resources=3 removed_resources=4 nonce=5 incremental=6" },
        { Mcp.Resource.Descriptor, "metadata=1 body=2" },
        { Mcp.Metadata.Descriptor, "name=1 create_time=2 version=3 labels=4 annotations=5" },
        { Istio.Security.PeerAuthentication.Descriptor, "selector=1 mtls=2 port_level_mtls=3" },
        { Istio.Security.AuthorizationPolicy.Descriptor, "selector=1 rules=2 action=3 provider=4 target_ref=5 target_refs=6" },
        {
            Istio.Security.Source.Descriptor,
            "principals=1 request_principals=2 namespaces=3 ip_blocks=4 not_principals=5 not_request_principals=6 not_namespaces=7 not_ip_blocks=8 "
            + "remote_ip_blocks=9 not_remote_ip_blocks=10 service_accounts=11 not_service_accounts=12 trust_domains=13 not_trust_domains=14"
        },
        { Istio.Security.Operation.Descriptor, "hosts=1 ports=2 methods=3 paths=4 not_hosts=5 not_ports=6 not_methods=7 not_paths=8" },
        {
            Istio.Networking.ClientTLSSettings.Descriptor,
            "mode=1 client_certificate=2 private_key=3 ca_certificates=4 subject_alt_names=5 sni=6 credential_name=7 insecure_skip_verify=8 ca_crl=9"
        },
        {
            Istio.Networking.ServiceEntry.Descriptor,
            "hosts=1 addresses=2 ports=3 location=4 resolution=5 endpoints=6 export_to=7 subject_alt_names=8 workload_selector=9"
        },
        { Kubernetes.ObjectMeta.Descriptor, "name=1 namespace=3 uid=5 resourceVersion=6 creationTimestamp=8 labels=11 annotations=12" },
        { Kubernetes.PodStatus.Descriptor, "phase=1 hostIP=5 podIP=6 containerStatuses=8 initContainerStatuses=10" },
        {
            Signet.Rpc.Wire.Spire.Types.Bundle.Descriptor,
            "trust_domain=1 x509_authorities=2 jwt_authorities=3 refresh_hint=4 sequence_number=5 wit_authorities=6"
        },
    };

    [Theory]
    [MemberData(nameof(Messages), DisableDiscoveryEnumeration = true)]
    public void Messages_have_their_published_field_numbers(MessageDescriptor message, string expected) =>
        Assert.Equal(expected, string.Join(' ', message.Fields.InFieldNumberOrder().Select(field => $"{field.Name}={field.FieldNumber}")));

    [Fact]
    public void A_secret_travels_under_the_type_that_proxies_ask_for() => Assert.Equal(
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", Any.Pack(new Secret()).TypeUrl);

    /// <summary>The generator is newer than the runtime; every kind of field that the contracts use must survive the pair.</summary>
    [Fact]
    public void Messages_survive_bytes_and_json_with_this_pair_of_generator_and_runtime()
    {
        var request = new DeltaDiscoveryRequest
        {
            Node = new Node { Id = "n", Metadata = new Struct { Fields = { ["k"] = Value.ForNumber(1.5) } }, UserAgentVersion = "1" },
            InitialResourceVersions = { ["a"] = "1", ["b"] = "2" },
            ErrorDetail = new Signet.Rpc.Wire.GoogleRpc.Status { Code = 3, Details = { Any.Pack(new Secret { Name = "s" }) } },
        };
        Assert.Equal(request, DeltaDiscoveryRequest.Parser.ParseFrom(request.ToByteArray()));
        var json = new JsonFormatter(new JsonFormatter.Settings(false, TypeRegistry.FromMessages(Secret.Descriptor))).Format(request);
        Assert.Equal(request, new JsonParser(new JsonParser.Settings(10, TypeRegistry.FromMessages(Secret.Descriptor))).Parse<DeltaDiscoveryRequest>(json));
    }

    [Fact]
    public void What_is_not_known_is_kept()
    {
        // additional_attributes (16) of an entry, which this side has no field for.
        byte[] bytes = [0x0A, 1, (byte)'x', 0x82, 1, 2, 8, 1];
        var entry = Entry.Parser.ParseFrom(bytes);
        Assert.Equal("x", entry.Id);
        Assert.Equal(bytes, entry.ToByteArray());
    }
}
