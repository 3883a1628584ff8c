namespace Signet.Proxy.Handover;

/// <summary>One proxy cannot follow the other; the message says why. Whoever served before still does.</summary>
public sealed class HandoverException(string message) : IOException(message);
