#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <thread>

#include "tests/support/catch.h"
#include "trainers/run/signals.h"

using namespace tenon::run;

namespace {

// The wait status of a child that runs `body`.
int child(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    unsetenv("SLURM_JOB_END_TIME");
    alarm(20);
    _exit(body());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("run signals: asked to stop, the state is saved and the code is 75") {
  for (int signal : {SIGTERM, SIGUSR1, SIGHUP}) {
    const int status = child([signal] {
      StopRequest stop;
      if (stop.stop()) return 1;
      std::raise(signal);
      return stop.stop() ? stop.leave() : 2;
    });
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 75);
  }
}

TEST_CASE("run signals: SIGINT dies by SIGINT after saving") {
  const int status = child([] {
    StopRequest stop;
    std::raise(SIGINT);
    return stop.reason() == "SIGINT" ? stop.leave() : 2;
  });
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
}

TEST_CASE("run signals: the second one leaves at once") {
  const int status = child([] {
    StopRequest stop;
    std::raise(SIGTERM);
    std::raise(SIGTERM);
    return 0;
  });
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("run signals: SIGUSR2 asks for a save, SIGPIPE and an ignored SIGHUP for nothing") {
  const int status = child([] {
    std::signal(SIGHUP, SIG_IGN);
    StopRequest stop;
    std::raise(SIGHUP);
    std::raise(SIGPIPE);
    if (stop.stop() || stop.take_save_request()) return 1;
    std::raise(SIGUSR2);
    if (!stop.take_save_request() || stop.take_save_request()) return 2;
    return stop.stop() ? 3 : 0;
  });
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("run signals: time limits") {
  const int status = child([] {
    {
      StopRequest stop(0.02);
      if (stop.stop() || *stop.seconds_left() > 0.02) return 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      if (stop.reason() != "--max-time") return 2;
    }
    setenv("SLURM_JOB_END_TIME", std::to_string(std::time(nullptr) + 100).c_str(), 1);
    StopRequest stop;
    if (stop.stop()) return 3;
    stop.expect(40, 20);  // too long for what is left
    if (stop.reason() != "end of the job") return 4;
    setenv("SLURM_JOB_END_TIME", "Unknown", 1);
    StopRequest none;
    if (none.stop()) return 5;
    none.request("rank 3 asked");
    return none.reason() == "rank 3 asked" ? 0 : 6;
  });
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
