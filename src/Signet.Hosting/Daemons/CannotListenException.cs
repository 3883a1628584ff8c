using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Signet.Hosting.Configuration;

namespace Signet.Hosting.Daemons;

/// <summary>A daemon can't listen where it should. The message says where, why, and which option chooses another place.</summary>
/// <param name="endPoint">Where.</param>
/// <param name="option">The configuration key.</param>
/// <param name="cause">What the operating system or Kestrel said.</param>
public sealed class CannotListenException(EndPoint endPoint, string option, Exception cause)
    : IOException($"cannot listen on {EndPointText.Format(endPoint)}: {Reason(endPoint, cause)}; choose another with \"{option}\"", cause)
{
    private const int LastPrivilegedPort = 1023;

    private static string Reason(EndPoint endPoint, Exception cause)
    {
        for (var e = cause; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case AddressInUseException or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse }:
                    return "address is already in use by another process";
                case SocketException { SocketErrorCode: SocketError.AddressNotAvailable }:
                    return "no interface of this machine has that address";
                case SocketException { SocketErrorCode: SocketError.AccessDenied } when endPoint is IPEndPoint { Port: <= LastPrivilegedPort }:
                    return "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE";
                case SocketException { SocketErrorCode: SocketError.AccessDenied }:
                    return "this process may not";
                case SocketException socket:
                    return socket.Message;
            }
        }

        return cause.Message;
    }
}
