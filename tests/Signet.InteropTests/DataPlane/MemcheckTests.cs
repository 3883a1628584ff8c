using System.Net.Sockets;
using System.Security.Cryptography;
using System.Xml.Linq;
using Signet.Identity.X509;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Both proxies under valgrind's memcheck, which looks at every access: whatever libssl, libcrypto and the loop read must have been written, lie inside
/// a block that is in use, and be given back once. The runtime's own errors are its makers' to judge and are left out.
/// </summary>
public sealed class MemcheckTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>Smaller heaps and narrower vectors than valgrind would choke on.</summary>
    private static readonly Dictionary<string, string> Runtime = new() { ["DOTNET_GCHeapHardLimit"] = "10000000", ["DOTNET_EnableAVX512"] = "0", ["DOTNET_TieredPGO"] = "0" };

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task The_witness_sees_a_byte_that_is_read_behind_its_block()
    {
        await using var mesh = new Sidecars();
        var report = mesh.File("control.xml");
        const string wrong = "import ctypes; libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; block = libc.malloc(4096); ctypes.string_at(block + 4096, 1)";

        await Tool.RunAsync("valgrind", [.. Memcheck(report), PythonStubs.Python, "-c", wrong], deadline: Patience);

        Assert.Contains(ErrorsIn(report), error => error.Kind == "InvalidRead");
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task No_access_to_native_memory_is_wrong_and_no_connection_leaves_any_behind()
    {
        await using var mesh = new Sidecars { Patience = Patience, More = "timeouts: {detection: 60s, handshake: 60s, connect: 60s, drain: 5s}\n" };
        await using var echo = new Echo();
        mesh.Under = ["valgrind", .. Memcheck(mesh.File("orders.xml"))];
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp", environment: Runtime);
        mesh.Under = ["valgrind", .. Memcheck(mesh.File("web.xml"))];
        var web = await mesh.OutboundAsync(orders.EndPoint, "tcp", environment: Runtime);
        await Eventually.IsTrueAsync(() => EchoAsync(web, 1), "both serve", Patience);
        var now = DateTimeOffset.UtcNow;
        X509Svid[] bad = [mesh.Authority.Svid("/ns/default/sa/web", now.AddHours(-2), now.AddMinutes(-5)), new TestAuthority(now).Svid("/ns/default/sa/web"), mesh.Authority.SvidBelowAnotherAuthority("/ns/default/sa/web")];

        for (var round = 0; round < 6; round++)
        {
            mesh.WriteIdentity(round % 2 == 0 ? "web" : "orders");
            var folder = mesh.WriteIdentity($"bad-{round}", bad[round % bad.Length]);
            var version = round % 2 == 0 ? "-tls1_3" : "-tls1_2";
            string[] openssl = ["60", "openssl", "s_client", "-connect", $"{orders.EndPoint}", "-quiet", version];
            Task[] all =
            [
                Tool.RunAsync("timeout", [.. openssl, "-cert", $"{folder}/chain.pem", "-cert_chain", $"{folder}/chain.pem", "-key", $"{folder}/key.pem"], "refused\n", Patience),
                Tool.RunAsync("timeout", openssl, "refused\n", Patience),
                .. Enumerable.Range(0, 6).Select(i => (Task)EchoAsync(web, 1 + (i * 20_000))),
                .. Enumerable.Range(0, 4).Select(i => ResetAsync(i % 2 == 0 ? web : orders, RandomNumberGenerator.GetBytes(i * 300))),
            ];
            await Task.WhenAll(all);
        }

        await Eventually.IsTrueAsync(() => EchoAsync(web, 100_000), "both still serve", Patience);
        foreach (var (one, report) in new[] { (web, "web.xml"), (orders, "orders.xml") })
        {
            await Tool.DoAsync("kill", ["-TERM", $"{one.Process.Pid}"]);
            await Eventually.IsTrueAsync(() => one.Process.HasExited, $"it ends: {Sidecars.LogOf(one.Process)}", Patience);
            var ours = ErrorsIn(mesh.File(report)).Where(IsOurs).ToList();
            Assert.True(ours.Count == 0, $"{report}:\n{string.Join("\n\n", ours)}");
        }
    }

    private static string[] Memcheck(string report) =>
        ["--tool=memcheck", "--smc-check=all-non-file", "--leak-check=full", "--show-leak-kinds=definite", "--num-callers=30", "--error-limit=no", "--xml=yes", $"--xml-file={report}"];

    /// <summary>Wherever TLS is in the way that led there, unless the runtime compiles or collects on that way, and every block that was given back wrongly.</summary>
    private static bool IsOurs(Error error) =>
        error.Kind is "InvalidFree" or "MismatchedFree"
        || (error.Kind != "Leak_PossiblyLost" && error.Frames.Any(frame => IsOf(frame, "libssl") || IsOf(frame, "libcrypto"))
            && !error.Frames.Take(3).Any(frame => IsOf(frame, "libcoreclr") || IsOf(frame, "libclrjit")));

    private static bool IsOf(string frame, string library) => frame.Contains(library, StringComparison.Ordinal);

    private static IReadOnlyList<Error> ErrorsIn(string report) =>
    [
        .. XDocument.Load(report).Descendants("error").Select(error => new Error(
            (string)error.Element("kind")!, [.. error.Elements("stack").First().Elements("frame").Select(frame => $"{(string?)frame.Element("fn") ?? "?"} in {(string?)frame.Element("obj") ?? "compiled code"}")])),
    ];

    /// <summary>Whether the same came back; a handshake may be too slow here, and its connection then ends.</summary>
    private static async Task<bool> EchoAsync(Sidecar web, int length)
    {
        try
        {
            using var socket = await web.ConnectAsync();
            await using var stream = new NetworkStream(socket);
            var sent = RandomNumberGenerator.GetBytes(length);
            var sending = stream.WriteAsync(sent).AsTask();
            var received = new byte[length];
            await stream.ReadAtLeastAsync(received, length, throwOnEndOfStream: false).AsTask().WaitAsync(Patience);
            await sending;
            return received.AsSpan().SequenceEqual(sent);
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Comes, says something or nothing, and leaves without a word.</summary>
    private static async Task ResetAsync(Sidecar to, byte[] bytes)
    {
        using var socket = await to.ConnectAsync();
        await Record.ExceptionAsync(() => socket.SendAsync(bytes));
        socket.LingerState = new LingerOption(true, 0);
    }

    private sealed record Error(string Kind, IReadOnlyList<string> Frames)
    {
        public override string ToString() => $"{Kind}\n  {string.Join("\n  ", Frames)}";
    }
}
