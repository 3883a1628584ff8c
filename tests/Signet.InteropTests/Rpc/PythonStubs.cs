namespace Signet.InteropTests.Rpc;

/// <summary>The contracts as Python code, compiled by Debian's own protoc.</summary>
internal static class PythonStubs
{
    private const string Packages = "python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc";

    public static string Python { get; } = "/usr/bin/python3";

    /// <summary>Compiles contracts that stand alone into a new folder.</summary>
    public static async Task<string> CompileContractAsync(string folder, params string[] contracts)
    {
        Directory.CreateDirectory(folder);
        await Peer.RunAsync(
            Peer.Require("/usr/bin/protoc", Packages),
            folder,
            [
                $"--plugin=protoc-gen-grpc={Peer.Require("/usr/bin/grpc_python_plugin", Packages)}",
                $"--proto_path={Path.Combine(Peer.Repository, "protos")}",
                $"--python_out={folder}",
                $"--grpc_out={folder}",
                .. contracts,
            ]);
        return folder;
    }

    public static async Task CompileAsync(string folder)
    {
        Peer.Require(Python, Packages);
        Peer.Require("/usr/lib/python3/dist-packages/grpc/__init__.py", Packages);
        var plugin = Peer.Require("/usr/bin/grpc_python_plugin", Packages);
        await Peer.RunAsync(
            Peer.Require("/usr/bin/protoc", Packages),
            folder,
            $"--plugin=protoc-gen-grpc={plugin}",
            $"--proto_path={Path.Combine(Peer.Repository, "protos")}",
            $"--proto_path={Path.Combine(Peer.Repository, "tests", "Signet.Testing", "Rpc")}",
            $"--python_out={folder}",
            $"--grpc_out={folder}",
            "echo.proto",
            "grpc/health/v1/health.proto",
            "grpc/reflection/v1alpha/reflection.proto");

        // The contracts' folder "grpc" must not hide Python's package of that name, so it becomes part of it.
        foreach (var contract in new[] { "health", "reflection" })
        {
            Directory.Move(Path.Combine(folder, "grpc", contract), Path.Combine(folder, contract));
        }

        Directory.Delete(Path.Combine(folder, "grpc"));
        foreach (var file in Directory.EnumerateFiles(folder, "*_grpc.py", SearchOption.AllDirectories))
        {
            File.WriteAllText(file, File.ReadAllText(file)
                .Replace("from grpc.health", "from health", StringComparison.Ordinal)
                .Replace("from grpc.reflection", "from reflection", StringComparison.Ordinal));
        }
    }
}
