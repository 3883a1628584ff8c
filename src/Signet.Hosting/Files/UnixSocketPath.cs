using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Files;

/// <summary>Where a Unix socket lies: reading its path, making room for it, binding it with the mode it should have.</summary>
public static class UnixSocketPath
{
    /// <summary>The longest path that fits the kernel's <c>sun_path</c> with its closing zero, in bytes (unix(7)).</summary>
    public const int MaxBytes = 107;

    /// <summary>A socket to which only its owner and root can connect.</summary>
    public const UnixFileMode OwnerConnects = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>A socket to which its owner's group can connect too.</summary>
    public const UnixFileMode GroupConnects = OwnerConnects | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    /// <summary>A socket to which every local user can connect; whoever serves it must look at who it is.</summary>
    public const UnixFileMode EverybodyConnects =
        OwnerConnects | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>Reads an absolute path, with or without <c>unix:</c> or <c>unix://</c> before it. Never throws.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out string? path, out string problem)
    {
        path = text ?? "";
        path = path.StartsWith("unix:", StringComparison.Ordinal) ? path[5..] : path;
        path = path.StartsWith("///", StringComparison.Ordinal) ? path[2..] : path;
        problem = !path.StartsWith('/') || path.StartsWith("//", StringComparison.Ordinal) || path.Contains('\0', StringComparison.Ordinal)
            ? $"\"{Printable.Of(text)}\" is not the path of a Unix socket; write an absolute path, such as unix:/run/signet/agent.sock"
            : Encoding.UTF8.GetByteCount(path) is var length && length > MaxBytes
            ? $"unix socket path {Printable.Of(path)} is {length} bytes long; the kernel allows {MaxBytes}, so choose a shorter folder"
            : "";
        path = problem.Length == 0 ? path : null;
        return path is not null;
    }

    /// <summary>
    /// Makes the path free to bind: creates its folder (0755), removes a socket that nobody listens on any more. Never removes anything else.
    /// </summary>
    /// <exception cref="PlaceException">The path is too long, taken by a running process, not a socket, or in a folder where others could replace it.</exception>
    public static void Prepare(string path)
    {
        if (!TryParse(path, out _, out var problem))
        {
            throw new PlaceException("unix socket", path, $"cannot be made: {problem}");
        }

        try
        {
            var folder = Path.GetDirectoryName(path)!;
            PrivateFolder.Create(folder, PrivateFolder.OthersMayEnter);
            if (PrivateFolder.OthersMayReplaceIn(folder))
            {
                throw new PlaceException("unix socket", path, $"lies in a folder that other users can write to; run chmod go-w {folder} or choose another");
            }

            if (NativeFile.Look(path, followLink: false) is not { } facts)
            {
                return;
            }

            if (!facts.IsSocket)
            {
                throw new PlaceException("unix socket", path, "cannot be made: something that is not a socket is already there; move it away or choose another path");
            }

            if (SomebodyListens(path))
            {
                throw new PlaceException("unix socket", path, "is taken by a running process; stop it or choose another path");
            }

            File.Delete(path);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException and not PlaceException)
        {
            throw new PlaceException("unix socket", path, $"cannot be made: {FileReason.Of(e)}", e);
        }
    }

    /// <summary>
    /// <see cref="Prepare"/>, then a bound stream socket that has <paramref name="mode"/> from its first moment on: no client slips in before a chmod.
    /// The caller owns the socket; disposing it removes the file.
    /// </summary>
    /// <exception cref="PlaceException">See <see cref="Prepare"/>.</exception>
    public static Socket Bind(string path, UnixFileMode mode)
    {
        Prepare(path);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            // Linux gives the file the mode of the socket's inode, cut by the umask (unix(7)): closed until the wanted mode is set in full.
            using var handle = new SafeFileHandle(socket.Handle, ownsHandle: false);
            File.SetUnixFileMode(handle, UnixFileMode.None);
            socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, mode);
            return socket;
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new PlaceException("unix socket", path, $"cannot be made: {FileReason.Of(e)}", e);
        }
    }

    private static bool SomebodyListens(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException e)
        {
            // Refused means that nobody holds it; anything else (a full queue, another user's mode) that somebody may.
            return e.SocketErrorCode != SocketError.ConnectionRefused;
        }
    }
}
