using Signet.Hosting.Files;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Agent;

/// <summary>A file is the one that the asking process sees, not the one that the daemon sees under the same name.</summary>
public sealed class ForeignRootTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task A_process_in_another_root_folder_gets_its_own_files_and_no_link_leads_out()
    {
        Directory.CreateDirectory(_folder.File("root"));
        await File.WriteAllTextAsync(_folder.File("root/cert.pem"), "inside");
        await File.WriteAllTextAsync(_folder.File("cert.pem"), "outside");
        File.CreateSymbolicLink(_folder.File("root/up"), "../cert.pem");
        File.CreateSymbolicLink(_folder.File("root/absolute"), "/cert.pem");
        File.CreateSymbolicLink(_folder.File("root/named"), _folder.File("cert.pem"));
        using var elsewhere = Peer.Start(Peer.Require("/usr/bin/python3", "python3"), _folder.Path, Path.Combine(Peer.Scripts, "elsewhere.py"), _folder.File("root"));
        try
        {
            var reader = new FileReader(int.Parse((await elsewhere.StandardOutput.ReadLineAsync())!, System.Globalization.CultureInfo.InvariantCulture), 0, 0, []);
            Assert.Equal("inside", await ReadAsync(reader, "/cert.pem"));
            Assert.Equal("inside", await ReadAsync(reader, "/up"));
            Assert.Equal("inside", await ReadAsync(reader, "/absolute"));
            Assert.Equal("inside", await ReadAsync(reader, "/../../cert.pem"));
            Assert.Null(await ReadAsync(reader, "/named"));
            Assert.Null(await ReadAsync(reader, _folder.File("cert.pem")));
            Assert.Null(await ReadAsync(reader, "/etc/passwd"));
        }
        finally
        {
            Peer.Kill(elsewhere);
        }
    }

    public void Dispose() => _folder.Dispose();

    private static async Task<string?> ReadAsync(FileReader reader, string path) =>
        (await new ForeignFiles(TimeProvider.System).ReadAsync(reader, path, 1024, CancellationToken.None)).Content is { } content ? System.Text.Encoding.UTF8.GetString(content) : null;
}
