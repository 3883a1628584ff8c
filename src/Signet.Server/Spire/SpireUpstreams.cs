using System.Net;
using Signet.Client;
using Signet.Server.Upstream;

namespace Signet.Server.Spire;

/// <summary>SPIRE's upstream authorities as ours.</summary>
internal static class SpireUpstreams
{
    public static UpstreamConfig ReadDisk(SpirePlugin plugin)
    {
        var data = plugin.Data;
        if (data.Text("ttl") is not null)
        {
            data.Warn("ttl", "ttl has no effect: issuing authorities live as long as ca_ttl says");
        }

        return new UpstreamConfig.Signer(data.RequiredFilePath("cert_file_path"), data.RequiredFilePath("key_file_path"), data.FilePath("bundle_file_path"));
    }

    public static UpstreamConfig? ReadServer(SpirePlugin plugin)
    {
        var data = plugin.Data;
        var experimental = data.Section("experimental");
        if (experimental.Flag("require_pq_kem", false))
        {
            experimental.Problem("require_pq_kem", "post-quantum key exchange can't be required here; take this out only if connections without it are fine");
        }

        if (experimental.Text("workload_api_named_pipe_name") is not null)
        {
            experimental.Warn("workload_api_named_pipe_name", "there are no named pipes on this system");
        }

        plugin.Owner.Warn(plugin.Name, "keys of JWT-SVIDs are not passed on to the server above: tokens signed here are believed by those who have this server's bundle");
        var address = new DnsEndPoint(data.RequiredText("server_address") is { Length: > 0 } host ? host : "localhost", data.Integer("server_port", 8081, 1, 65535));
        if (WorkloadApiAddress.TryParse(data.RequiredText("workload_api_socket"), out var socket, out var problem))
        {
            return new UpstreamConfig.Server(address, socket);
        }

        data.Problem("workload_api_socket", problem);
        return null;
    }
}
