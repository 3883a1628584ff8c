using Signet.Client;
using Signet.Helper;
using Signet.Hosting;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Helper;

public sealed class HelperConfigTests
{
    private const string Smallest = "folder: /var/lib/app\nx509: {}\n";

    [Fact]
    public void The_smallest_file_has_safe_defaults()
    {
        var config = Read(Smallest);
        Assert.Equal(WorkloadApiAddress.TryFromEnvironment(out var named, out _) ? named.Path : "/run/signet/agent.sock", config.Socket.Path);
        Assert.Equal(new OutputFile("svid.pem", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead), config.X509!.Certificate);
        Assert.Equal(new OutputFile("key.pem", UnixFileMode.UserRead | UnixFileMode.UserWrite), config.X509.Key);
        Assert.Same(SvidPick.First, config.Identity);
        Assert.True(config.Owner.IsUnchanged);
        Assert.Null(config.OnChange);
        Assert.Null(config.Metrics);
    }

    [Fact]
    public void Everything_can_be_said()
    {
        var config = Read("""
            socket: unix:/tmp/agent.sock
            identity: {hint: internal}
            folder: out
            owner: root
            group: "7"
            x509: {certificate: tls.crt, key: tls.key, bundle: ca.crt, keyMode: "0640"}
            jwt: [{audience: [billing], file: billing.jwt}]
            bundles: [{pem: own.pem, jwks: own.json}, {trustDomain: other.org, pem: other.pem, mode: "0600"}]
            onChange: {command: [nginx, -s, reload], timeout: 5s}
            metrics: 127.0.0.1:9903
            """);
        Assert.Equal("with hint \"internal\"", $"{config.Identity}");
        Assert.Equal("of spiffe://example.org/web", $"{Read(Smallest + "identity: {spiffeId: \"spiffe://example.org/web\"}").Identity}");
        Assert.Equal("/etc/signet/out", config.Folder);
        Assert.Equal((0u, 7u), (config.Owner.User!.Value, config.Owner.Group!.Value));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, config.X509!.Key.Mode);
        Assert.Equal("billing.jwt", Assert.Single(config.Jwt).File.Name);
        Assert.Equal(["own.json", null], config.Bundles.Select(bundle => bundle.Jwks?.Name));
        Assert.Equal(["nginx", "-s", "reload"], Assert.IsType<ChangeHook.Command>(config.OnChange).Arguments);
        Assert.Equal(new ChangeHook.Signal(1, "/run/nginx.pid"), Read(Smallest + "onChange: {signal: HUP, pidFile: /run/nginx.pid}").OnChange);
    }

    [Theory]
    [InlineData("x509: {}", "folder")]
    [InlineData("folder: /f", "nothing is to be written")]
    [InlineData(Smallest + "jwt: [{audience: [a], file: key.pem}]", "\"key.pem\" is written twice")]
    [InlineData("folder: /f\nx509: {key: ../key.pem}", "x509.key")]
    [InlineData("folder: /f\nx509: {key: ..data}", "x509.key")]
    [InlineData("folder: /f\nx509: {key: \"\"}", "x509.key")]
    [InlineData("folder: /f\nx509: {keyMode: \"0644\"}", "shows a secret to every user")]
    [InlineData("folder: /f\nx509: {certificateMode: \"0666\"}", "lets more than the owner write")]
    [InlineData("folder: /f\nx509: {certificateMode: \"4755\"}", "lets more than the owner write")]
    [InlineData("folder: /f\nx509: {keyMode: rw}", "is not a mode")]
    [InlineData("folder: /f\njwt: [{file: a}]", "audience is missing")]
    [InlineData("folder: /f\njwt: [{audience: [a]}]", "jwt[0].file")]
    [InlineData("folder: /f\nbundles: [{trustDomain: other.org}]", "name a file with pem, jwks or both")]
    [InlineData(Smallest + "identity: {}", "either the hint or the spiffeId")]
    [InlineData(Smallest + "identity: {hint: a, spiffeId: \"spiffe://example.org/web\"}", "either the hint or the spiffeId")]
    [InlineData(Smallest + "identity: {spiffeId: web}", "identity.spiffeId")]
    [InlineData(Smallest + "owner: nobody-of-that-name", "there is no user")]
    [InlineData(Smallest + "onChange: {}", "write either command")]
    [InlineData(Smallest + "onChange: {command: [a], signal: HUP, pidFile: /p}", "write either command")]
    [InlineData(Smallest + "onChange: {signal: HUP}", "needs both")]
    [InlineData(Smallest + "onChange: {signal: KILL, pidFile: /p}", "KILL")]
    [InlineData(Smallest + "onChange: {command: nginx -s reload}", "a list was expected")]
    [InlineData(Smallest + "onchange: {}", "did you mean \"onChange\"")]
    public void What_is_wrong_is_said(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<ConfigException>(() => Read(text)).Message, StringComparison.Ordinal);

    private static HelperConfig Read(string text) => ConfigDocument.Read(
        "/etc/signet/helper.yaml",
        text,
        new Dictionary<string, string>(),
        root => HelperConfig.Read(root, Places.TryChoose(null, isRoot: true, null, out var places, out var problem) ? places : throw new InvalidOperationException(problem)));
}
