using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Signet.Hosting.PeerCredentials;

/// <summary>A file descriptor that stands for one process and never for another (pidfd_open(2)).</summary>
internal static partial class Pidfd
{
    private const short Readable = 1;

    /// <summary>A pidfd becomes readable when its process ends. False also when the handle is closed.</summary>
    public static bool IsAlive(SafeFileHandle pidfd)
    {
        var borrowed = false;
        try
        {
            pidfd.DangerousAddRef(ref borrowed);
            var question = new PollQuestion { File = (int)pidfd.DangerousGetHandle(), Events = Readable };
            return Poll(ref question, 1, timeoutMilliseconds: 0) == 0;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (borrowed)
            {
                pidfd.DangerousRelease();
            }
        }
    }

    // struct pollfd of poll(2).
    [StructLayout(LayoutKind.Sequential)]
    private struct PollQuestion
    {
        public int File;
        public short Events;
        public short Answer;
    }

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref PollQuestion questions, nuint count, int timeoutMilliseconds);
}
