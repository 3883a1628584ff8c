using Signet.Proxy;

namespace Signet.FunctionalTests.Proxy;

/// <summary>The test provokes this refusal for real. Every reason needs one such test.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ProvesAttribute(RefusalReason reason) : Attribute
{
    public RefusalReason Reason => reason;
}
