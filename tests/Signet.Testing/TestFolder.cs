namespace Signet.Testing;

/// <summary>A folder of the test's own, mode 0700, gone afterwards; its path is short enough for Unix sockets.</summary>
public sealed class TestFolder : IDisposable
{
    public TestFolder() => Path = Directory.CreateTempSubdirectory("signet-").FullName;

    public string Path { get; }

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
