using System.Net.Sockets;
using Signet.Hosting.Files;
using Signet.Testing;

namespace Signet.FunctionalTests.Hosting.Files;

public sealed class UnixSocketPathTests : IDisposable
{
    private const UnixFileMode Mode0600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Mode0777 = (UnixFileMode)0x1FF;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(Mode0600)]
    [InlineData(Mode0777)]
    public void Binds_with_the_mode_that_was_asked_for_and_cleans_up(UnixFileMode mode)
    {
        using (var socket = UnixSocketPath.Bind(_folder.File("run/agent.sock"), mode))
        {
            socket.Listen();
            Assert.Equal(mode, File.GetUnixFileMode(_folder.File("run/agent.sock")));
            using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            client.Connect(new UnixDomainSocketEndPoint(_folder.File("run/agent.sock")));
        }

        Assert.False(File.Exists(_folder.File("run/agent.sock")));
    }

    [Fact]
    public void Removes_a_socket_that_nobody_listens_on()
    {
        LeaveBehind(_folder.File("agent.sock"));
        Assert.True(File.Exists(_folder.File("agent.sock")));

        using var socket = UnixSocketPath.Bind(_folder.File("agent.sock"), Mode0600);
    }

    [Fact]
    public void Refuses_a_socket_that_a_running_process_listens_on()
    {
        using var running = UnixSocketPath.Bind(_folder.File("agent.sock"), Mode0600);
        running.Listen();

        var e = Assert.Throws<PlaceException>(() => UnixSocketPath.Prepare(_folder.File("agent.sock")));

        Assert.Equal($"unix socket {_folder.File("agent.sock")} is taken by a running process; stop it or choose another path", e.Message);
    }

    [Fact]
    public void Takes_a_process_whose_queue_is_full_for_a_running_one()
    {
        using var running = UnixSocketPath.Bind(_folder.File("agent.sock"), Mode0600);
        running.Listen(0);
        var waiting = new List<Socket>();
        try
        {
            while (waiting.Count < 100)
            {
                var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
                waiting.Add(client);
                client.Connect(new UnixDomainSocketEndPoint(_folder.File("agent.sock")));
            }

            Assert.Fail("the queue never filled");
        }
        catch (SocketException)
        {
            Assert.Contains("is taken by a running process", Assert.Throws<PlaceException>(() => UnixSocketPath.Prepare(_folder.File("agent.sock"))).Message);
        }
        finally
        {
            waiting.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public void Never_removes_what_is_not_a_socket()
    {
        File.WriteAllText(_folder.File("agent.sock"), "precious");

        Assert.Contains("not a socket", Assert.Throws<PlaceException>(() => UnixSocketPath.Prepare(_folder.File("agent.sock"))).Message);
        Assert.Equal("precious", File.ReadAllText(_folder.File("agent.sock")));
    }

    [Fact]
    public void Never_follows_a_link_to_remove_what_it_points_to()
    {
        LeaveBehind(_folder.File("real.sock"));
        File.CreateSymbolicLink(_folder.File("agent.sock"), _folder.File("real.sock"));

        Assert.Throws<PlaceException>(() => UnixSocketPath.Prepare(_folder.File("agent.sock")));
        Assert.True(File.Exists(_folder.File("real.sock")));
    }

    [Fact]
    public void Refuses_a_folder_where_others_could_put_their_own_socket()
    {
        Directory.CreateDirectory(_folder.File("run"));
        File.SetUnixFileMode(_folder.File("run"), Mode0777);

        Assert.Contains("other users can write to", Assert.Throws<PlaceException>(() => UnixSocketPath.Prepare(_folder.File("run/agent.sock"))).Message);

        File.SetUnixFileMode(_folder.File("run"), Mode0777 | UnixFileMode.StickyBit);
        UnixSocketPath.Prepare(_folder.File("run/agent.sock"));
    }

    [Fact]
    public void Refuses_a_path_that_the_kernel_would_cut()
    {
        var path = _folder.File(new string('a', 120));

        Assert.Contains("bytes long; the kernel allows 107", Assert.Throws<PlaceException>(() => UnixSocketPath.Prepare(path)).Message);
    }

    /// <summary>What a killed process leaves: a socket file whose socket is closed.</summary>
    private static void LeaveBehind(string path)
    {
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(path + ".moved"));
            File.Move(path + ".moved", path);
        }
    }
}
