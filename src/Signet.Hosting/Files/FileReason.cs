using System.Net.Sockets;

namespace Signet.Hosting.Files;

/// <summary>Says why a file operation failed, without the path and the noise of the framework's message.</summary>
public static class FileReason
{
    /// <summary>ENOSPC and EDQUOT, as the framework reports errno on Linux.</summary>
    private const int NoSpace = 28, OverQuota = 122;

    public static string Of(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException => "there is no such file or folder",
        UnauthorizedAccessException => "this process may not; check the owner and the mode",
        PathTooLongException => "the path is too long",
        IOException { HResult: NoSpace } => "no space is left on the disk",
        IOException { HResult: OverQuota } => "the disk quota is used up",
        ArgumentException => "the path or the content is not text",
        SocketException { SocketErrorCode: SocketError.AccessDenied } => "this process may not; check the owner and the mode of its folder",
        _ => e.Message,
    };
}
