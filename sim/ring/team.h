// SPDX-License-Identifier: Apache-2.0
// Threads that do one piece of work after the other together. Each has the same places of it every time and none goes
// on before all are done, so that what comes of it does not depend on their number, nor on whether they take part.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

class Team {
  public:
    // ``work`` is called with each place below ``places`` once a round; the caller of `round` is one of the threads.
    Team(size_t threads, size_t places, std::function<void(size_t)> work)
        : threads_(threads), places_(places), work_(std::move(work)) {
        for (size_t thread = 1; thread < threads_; thread++) others_.emplace_back([=, this] { serve(thread); });
    }
    ~Team() {
        {
            std::lock_guard lock(mutex_);
            over_ = true;
        }
        called_.notify_all();
        for (std::thread& other : others_) other.join();
    }

    // Many rounds follow, until `end`; elsewhere the caller works alone. It goes on as it last ended.
    void begin() {
        many_ = threads_ > 1;
        if (many_ && !alone_left_) join();
        rounds_ = 0;
        started_ = Clock::now();
    }
    void end() {
        if (together_) part_ways();
        many_ = false;
    }

    void round() {
        if (together_) {
            done_.store(0, std::memory_order_relaxed);
            round_.fetch_add(1, std::memory_order_release);
            work(0);
            await_others();
        } else {
            for (size_t place = 0; place < places_; place++) work_(place);
        }
        if (many_) choose();
    }

  private:
    using Clock = std::chrono::steady_clock;
    static constexpr int SPINS = 1 << 12;   // before somebody else may have the processor
    static constexpr int BLOCK = 256;       // rounds that are timed
    // Blocks: alone to see how fast that is, alone where it was faster, and together.
    static constexpr int TRIAL = 3, PENALTY = 64, TOGETHER = 256;

    // Threads that wait for each other are slow where others want the processors: so the caller works alone for some
    // blocks now and then, and together with the others only as long as each block is faster than the fastest of these.
    void choose() {
        rounds_++;
        Clock::duration taken = together_ || rounds_ == BLOCK ? Clock::now() - started_ : Clock::duration();
        if (together_ && taken > alone_) {
            part_ways();
            be_alone(PENALTY);
        } else if (rounds_ < BLOCK) {
            return;
        } else if (together_) {
            if (--together_left_ == 0) {
                part_ways();
                be_alone(TRIAL);
            }
        } else {
            alone_ = std::min(alone_, taken);
            if (--alone_left_ == 0) join();
        }
        rounds_ = 0;
        started_ = Clock::now();
    }

    void be_alone(int blocks) {
        alone_left_ = blocks;
        together_left_ = TOGETHER;
        alone_ = Clock::duration::max();
    }
    void join() {
        {
            std::lock_guard lock(mutex_);
            calls_++;
        }
        together_ = true;
        called_.notify_all();
    }
    void part_ways() {
        together_ = false;
        done_.store(0, std::memory_order_relaxed);
        rest_.store(true, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        await_others();
        rest_.store(false, std::memory_order_relaxed);
    }

    static void relax(int& spins) {
        if (++spins > SPINS)
            std::this_thread::yield();
        else
            __builtin_ia32_pause();
    }

    void work(size_t thread) {
        size_t end = places_ * (thread + 1) / threads_;
        for (size_t place = places_ * thread / threads_; place < end; place++) work_(place);
    }

    void await_others() {
        for (int spins = 0; done_.load(std::memory_order_acquire) != threads_ - 1;) relax(spins);
    }

    // One of the others: it sleeps until called, and then waits for rounds.
    void serve(size_t thread) {
        unsigned seen = 0, calls = 0;
        while (true) {
            {
                std::unique_lock lock(mutex_);
                called_.wait(lock, [&] { return over_ || calls_ != calls; });
                if (over_) return;
                calls = calls_;
            }
            for (bool rest = false; !rest;) {
                for (int spins = 0; round_.load(std::memory_order_acquire) == seen;) relax(spins);
                seen++;
                rest = rest_.load(std::memory_order_relaxed);
                if (!rest) work(thread);
                done_.fetch_add(1, std::memory_order_release);
            }
        }
    }

    const size_t threads_, places_;
    const std::function<void(size_t)> work_;
    std::vector<std::thread> others_;
    std::mutex mutex_;
    std::condition_variable called_;
    unsigned calls_ = 0;
    bool over_ = false;
    bool many_ = false, together_ = false;
    int rounds_ = 0, together_left_ = TOGETHER, alone_left_ = TRIAL;
    Clock::time_point started_;
    Clock::duration alone_ = Clock::duration::max();
    alignas(64) std::atomic<unsigned> round_ = 0;
    alignas(64) std::atomic<size_t> done_ = 0;
    alignas(64) std::atomic<bool> rest_ = false;
};
