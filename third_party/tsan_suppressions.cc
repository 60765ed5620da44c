// Debian's gRPC and abseil are built without ThreadSanitizer: what they
// synchronise by atomics of their own looks like a race to it. Reports whose
// accesses both lie in their code, or in calls made from there, say nothing;
// those in ours stay. Used only with --config=tsan.
extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() {
  return "race:libgrpc.so\n"
         "race:libgrpc++.so\n"
         "race:libgpr.so\n"
         "race:libabsl_\n";
}
