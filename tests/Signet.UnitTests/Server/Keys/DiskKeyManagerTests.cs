using Signet.Authority.Keys;
using Signet.Identity.X509;
using Signet.Server.Keys;
using Signet.Testing;

namespace Signet.UnitTests.Server.Keys;

public sealed class DiskKeyManagerTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.Ed25519)]
    public async Task A_key_is_there_after_a_restart_for_its_owner_only_and_gone_once_it_was_deleted(KeyType type)
    {
        var made = await Keys().GenerateAsync("issuing-1", type, CancellationToken.None);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FileOf("issuing-1")));
        var keys = Keys();
        Assert.Equal(KeyPair.ExportPublicKey(made), KeyPair.ExportPublicKey((await keys.FindAsync("issuing-1", CancellationToken.None))!));

        await keys.DeleteAsync("issuing-1", CancellationToken.None);
        Assert.Null(await keys.FindAsync("issuing-1", CancellationToken.None));
        Assert.False(File.Exists(FileOf("issuing-1")));
    }

    [Fact]
    public async Task A_key_that_is_not_there_is_none_and_one_that_is_there_is_never_overwritten()
    {
        var keys = Keys();
        Assert.Null(await keys.FindAsync("anchor-1", CancellationToken.None));
        await keys.GenerateAsync("anchor-1", KeyType.EcP256, CancellationToken.None);
        var before = await File.ReadAllTextAsync(FileOf("anchor-1"));
        Assert.Contains("exists already", (await Assert.ThrowsAsync<KeyManagerException>(() => keys.GenerateAsync("anchor-1", KeyType.EcP256, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(FileOf("anchor-1")));
    }

    [Fact]
    public async Task A_file_that_others_can_read_is_refused_with_the_command_that_mends_it()
    {
        await Keys().GenerateAsync("anchor-1", KeyType.EcP256, CancellationToken.None);
        File.SetUnixFileMode(FileOf("anchor-1"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        var refused = await Assert.ThrowsAsync<KeyManagerException>(() => Keys().FindAsync("anchor-1", CancellationToken.None));
        Assert.Contains($"run: chmod 600 {FileOf("anchor-1")}", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
    public async Task A_damaged_file_is_named_with_what_to_do_and_left_as_it_is(string content)
    {
        var keys = Keys();
        await keys.GenerateAsync("issuing-1", KeyType.EcP256, CancellationToken.None);
        await File.WriteAllTextAsync(FileOf("issuing-1"), content);
        var refused = await Assert.ThrowsAsync<KeyManagerException>(() => Keys().FindAsync("issuing-1", CancellationToken.None));
        Assert.Contains(FileOf("issuing-1"), refused.Message, StringComparison.Ordinal);
        Assert.Contains("restore it from a backup", refused.Message, StringComparison.Ordinal);
        Assert.Equal(content, await File.ReadAllTextAsync(FileOf("issuing-1")));
    }

    private DiskKeyManager Keys() => new(_folder.File("keys"));

    private string FileOf(string name) => _folder.File($"keys/{name}.pem");
}
