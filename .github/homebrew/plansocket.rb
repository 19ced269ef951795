class Plansocket < Formula
  desc "Use the models of your ChatGPT plan from any LLM client"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license "MIT"

  on_macos do
    on_arm do
      url "@REPOSITORY@/releases/download/v@VERSION@/plansocket-darwin-arm64.tar.gz"
      sha256 "@SHA256:darwin-arm64@"
    end
    on_intel do
      url "@REPOSITORY@/releases/download/v@VERSION@/plansocket-darwin-x64.tar.gz"
      sha256 "@SHA256:darwin-x64@"
    end
  end

  on_linux do
    on_arm do
      url "@REPOSITORY@/releases/download/v@VERSION@/plansocket-linux-arm64.tar.gz"
      sha256 "@SHA256:linux-arm64@"
    end
    on_intel do
      url "@REPOSITORY@/releases/download/v@VERSION@/plansocket-linux-x64.tar.gz"
      sha256 "@SHA256:linux-x64@"
    end
  end

  def install
    bin.install "plansocket"
    generate_completions_from_executable(bin/"plansocket", "completions")
    (man1/"plansocket.1").write Utils.safe_popen_read(bin/"plansocket", "man")
  end

  service do
    run [opt_bin/"plansocket", "serve"]
    keep_alive true
    log_path var/"log/plansocket.log"
    error_log_path var/"log/plansocket.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/plansocket --version")
    assert_match "plansocket serve", shell_output("#{bin}/plansocket health --url http://127.0.0.1:9 2>&1", 1)
  end
end
