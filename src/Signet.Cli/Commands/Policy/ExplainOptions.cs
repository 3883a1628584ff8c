using System.CommandLine;
using System.Net;
using Signet.Cli.Output;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.Cli.Commands.Policy;

/// <summary>A request from a file, or from options: the workload from a file, the rest by hand.</summary>
internal sealed class ExplainOptions
{
    public Option<string> Policies { get; } = PolicyOptions.Policies();

    public Option<string?> Mesh { get; } = PolicyOptions.Mesh();

    public Option<OutputFormat> Output { get; } = Answer.Option();

    public Option<string?> Requests { get; } = new("--requests") { Description = "A list of requests, instead of the options below", HelpName = "FILE" };

    private Option<string?> Workload { get; } = new("--workload") { Description = "The called workload: namespace, labels", HelpName = "FILE" };

    private Option<int?> Port { get; } = new("--port") { Description = "The workload's port", HelpName = "N" };

    private Option<string> Protocol { get; } = new("--protocol") { Description = "What the port speaks", HelpName = "http|tcp", DefaultValueFactory = _ => "http" };

    private Option<string?> SourcePrincipal { get; } = new("--source-principal") { Description = "The caller's identity; left out means plaintext", HelpName = "TD/ns/NS/sa/SA" };

    private Option<string?> SourceIp { get; } = new("--source-ip") { Description = "The caller's address", HelpName = "IP" };

    private Option<string> Method { get; } = new("--method") { Description = "The request's method", DefaultValueFactory = _ => "GET" };

    private Option<string> Path { get; } = new("--path") { Description = "The request's path", DefaultValueFactory = _ => "/" };

    private Option<string?> Host { get; } = new("--host") { Description = "The request's host" };

    private Option<string[]> Header { get; } = new("--header") { Description = "A header, name: value; repeatable", HelpName = "NAME: VALUE", DefaultValueFactory = _ => [] };

    private Option<string?> Sni { get; } = new("--sni") { Description = "The server name of the TLS handshake" };

    public ExplainOptions() => Protocol.AcceptOnlyFromAmong("http", "tcp");

    public IEnumerable<Option> All => [Policies, Mesh, Requests, Workload, Port, Protocol, SourcePrincipal, SourceIp, Method, Path, Host, Header, Sni, Output];

    /// <exception cref="InputException">An option can't be understood.</exception>
    public WrittenRequest ReadRequest(ParseResult parsed)
    {
        if (parsed.GetValue(Workload) is not { } workload)
        {
            throw new InputException("neither --requests nor --workload is given", "name a file of requests, or the called workload and --port, --method, --path, --source-principal");
        }

        var written = PolicyFiles.Load(workload, WorkloadFile.Read);
        var facts = new RequestFacts
        {
            DestinationPort = parsed.GetValue(Port) ?? written.Ports.FirstOrDefault(),
            Protocol = parsed.GetValue(Protocol) == "tcp" ? Signet.Policy.Protocol.Tcp : Signet.Policy.Protocol.Http,
            Peer = ReadPeer(parsed.GetValue(SourcePrincipal)),
            SourceIp = ReadAddress(parsed.GetValue(SourceIp)),
            Method = parsed.GetValue(Method),
            Path = parsed.GetValue(Path),
            Host = parsed.GetValue(Host),
            Headers = [.. (parsed.GetValue(Header) ?? []).Select(ReadHeader)],
            Sni = parsed.GetValue(Sni),
        };
        facts.MutualTls = facts.Peer is not null;
        return new WrittenRequest("request", written.Workload, facts, new Dictionary<string, CustomOutcome>());
    }

    private static SpiffeId? ReadPeer(string? principal)
    {
        if (principal is null)
        {
            return null;
        }

        return SpiffeId.TryParse("spiffe://" + principal, out var peer, out var problem)
            ? peer
            : throw new InputException($"--source-principal: {problem}", "write it without scheme, for example cluster.local/ns/production/sa/order-service");
    }

    private static IPAddress? ReadAddress(string? text)
    {
        if (text is null)
        {
            return null;
        }

        return IPAddress.TryParse(text, out var address) ? address : throw new InputException($"--source-ip: \"{Printable.Of(text)}\" is not an IP address", "for example 10.0.0.7");
    }

    private static KeyValuePair<string, string> ReadHeader(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 ? new(text[..colon].Trim(), text[(colon + 1)..].Trim()) : throw new InputException($"--header: \"{Printable.Of(text)}\" has no colon", "write it like \"x-team: blue\"");
    }
}
